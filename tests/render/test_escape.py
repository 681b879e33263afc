"""Names from a file, made harmless."""

from kmr_cli.render.escape import for_key, for_terminal


def test_keys_and_names():
    assert for_key("a/../b", 2) == "a%2F..%2Fb#2"
    assert for_key("..", 0) == "%2E%2E#0"
    assert for_terminal("a\tb\x7f\u2028é漢") == "a\\tb\\x7f\\u2028é漢"
    assert len(for_terminal("x" * 5000)) <= 200
