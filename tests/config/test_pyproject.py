"""``[tool.kmr-inspect]`` in pyproject.toml."""

import pytest

from kmr_cli.config.pyproject import Settings, read_settings
from kmr_cli.config.tolerance import Tolerance
from kmr_cli.errors import KmrError
from kmr_cli.rules import RULES


def test_the_nearest_file_counts(tmp_path):
    settings = ['ignore = ["KMR3"]', 'allow = ["scores*"]', 'allow-output = ["loss"]']
    (tmp_path / "pyproject.toml").write_text("\n".join(["[tool.kmr-inspect]", *settings]))
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert read_settings(inner) == Settings(ignore=("KMR3",), allow=("scores*",), allow_output=("loss",))
    (inner / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert read_settings(inner) == Settings()


def test_batch_sizes_are_whole_numbers(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.kmr-inspect]\nbatch-sizes = [64, 1, 8]\n")
    assert read_settings(tmp_path).batch_sizes == (1, 8, 64)


def test_what_is_inconclusive_is_accepted_as_the_project_says_or_the_table_of_the_model(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        "[tool.kmr-inspect]\nallow-inconclusive = true\n"
        "[tool.kmr-inspect.models.'strict*']\nallow-inconclusive = false\n"
    )
    settings = read_settings(tmp_path)
    assert settings.accepts_inconclusive(tmp_path / "other.onnx")
    assert not settings.accepts_inconclusive(tmp_path / "strict.onnx")
    assert not Settings().accepts_inconclusive("other.onnx")


@pytest.mark.parametrize("section", ["[tool.kmr-inspect]", "[tool.kmr-inspect.models.'a']"])
def test_accepting_is_true_or_false(tmp_path, section):
    (tmp_path / "pyproject.toml").write_text(f"{section}\nallow-inconclusive = 'yes'\n")
    with pytest.raises(KmrError, match="allow-inconclusive must be true or false") as raised:
        read_settings(tmp_path)
    assert raised.value.hint == "allow-inconclusive = true"


@pytest.mark.parametrize("value", ['"1,8"', "8", "[0]", '["8"]', "[true]", "[1.5]"])
def test_what_is_not_a_batch_size_is_refused(tmp_path, value):
    (tmp_path / "pyproject.toml").write_text(f"[tool.kmr-inspect]\nbatch-sizes = {value}\n")
    with pytest.raises(KmrError, match=r"\[tool.kmr-inspect\] batch-sizes") as raised:
        read_settings(tmp_path)
    assert raised.value.hint == "batch-sizes = [1, 8, 32, 64]"


def test_no_file_at_all(tmp_path):
    assert read_settings(tmp_path) == Settings()


def test_tolerances_of_layers_in_the_order_of_the_file(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[tool.kmr-inspect.tolerance]\n"z*" = { rtol = 1e-3, atol = 1 }\n"a/b" = { ulp = 4 }\n'
    )
    assert read_settings(tmp_path).tolerance == (
        ("z*", Tolerance(rtol=1e-3, atol=1)), ("a/b", Tolerance(ulp=4)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("tolerance = 1", "must be a table of layers"),
        ("tolerance = [1]", "must be a table of layers"),
        ("tolerance.a = 1", "'a' must give rtol, atol or ulp"),
        ("tolerance.a = {}", "'a' must give rtol, atol or ulp"),
        ("tolerance.a = { rtool = 1 }", "'a' must give rtol, atol or ulp, not 'rtool'"),
        ("tolerance.a = { rtol = 1, relative = 1 }", "'a' must give rtol, atol or ulp, not 'relative'"),
        ('tolerance.a = { rtol = "1" }', "'a': rtol must be a number, not '1'"),
        ("tolerance.a = { rtol = true }", "'a': rtol must be a number, not True"),
        ("tolerance.a = { ulp = 1.5 }", "'a': ulp must be a number, not 1.5"),
        ("tolerance.a = { rtol = -1 }", "'a': rtol must be a finite number, 0 or more, not -1"),
        ("tolerance.a = { atol = nan }", "'a': atol must be a finite number, 0 or more, not nan"),
        ("tolerance.a = { rtol = inf }", "'a': rtol must be a finite number, 0 or more, not inf"),
    ],
)
def test_mistakes_in_tolerances_are_named(tmp_path, table, message):
    (tmp_path / "pyproject.toml").write_text(f"[tool.kmr-inspect]\n{table}\n")
    with pytest.raises(KmrError) as caught:
        read_settings(tmp_path)
    assert message in caught.value.message
    assert caught.value.hint
    assert "\n" not in caught.value.hint  # a line break would be shown escaped


@pytest.mark.parametrize(
    ("table", "hint"),
    [
        ('"*" = 0.1', 'did you mean "*" = { rtol = 0.1 }?'),
        ("a = { rtoll = 0.1 }", "did you mean rtol?"),
        ("a = { ATOL = 0.1 }", "did you mean atol?"),
        (
            "a = { relative = 0.1 }",
            'under [tool.kmr-inspect.tolerance], write: "dense*" = { rtol = 1e-3, atol = 1e-5 }',
        ),
        ("a = true", 'under [tool.kmr-inspect.tolerance], write: "dense*" = { rtol = 1e-3, atol = 1e-5 }'),
    ],
)
def test_the_hint_is_what_was_meant(tmp_path, table, hint):
    (tmp_path / "pyproject.toml").write_text(f"[tool.kmr-inspect.tolerance]\n{table}\n")
    with pytest.raises(KmrError) as caught:
        read_settings(tmp_path)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.kmr-inspect]\nalow = []\n", "unknown key 'alow'"),
        ('[tool.kmr-inspect]\nallow = "x"\n', "must be a list of strings"),
        ("[tool.kmr-inspect]\nallow = [1]\n", "must be a list of strings"),
        ("[tool", "cannot be read"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(KmrError, match=message):
        read_settings(tmp_path)


def test_every_rule_says_what_why_and_how():
    for code, rule in RULES.items():
        assert code == rule.code
        for text in (rule.found_when, rule.why, rule.remedy):
            assert 10 < len(text) < 130
            assert not text.endswith(".")
    assert len({rule.name for rule in RULES.values()}) == len(RULES)
