"""Names from a file, made harmless."""

import json

import pytest
from bad_files import keras_files
from zoo.samples import command

from kmr_cli.render.escape import for_key, for_terminal


def test_keys_and_names():
    assert for_key("a/../b", 2) == "a%2F..%2Fb#2"
    assert for_key("..", 0) == "%2E%2E#0"
    assert for_terminal("a\tb\x7f\u2028é漢") == "a\\tb\\x7f\\u2028é漢"
    assert len(for_terminal("x" * 5000)) <= 200


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::set-output name=a::b", ":\\x3aset-output name=a::b"),
        ("layer ::error::b", "layer :\\x3aerror::b"),
        ("x" * 70 + "::error::b", "x" * 70 + ":\\x3aerror:\\x3ab"),
        ("a##[set-output name=a;]b ##vso[task.x]", "a#\\x23[set-output name=a;]b #\\x23vso[task.x]"),
        (":::error::b", ":\\x3a:error::b"),
        ("aten::relu, c10::detail::f", "aten::relu, c10::detail::f"),
        ("model #1: a:b", "model #1: a:b"),
    ],
)
def test_a_log_of_ci_gets_no_commands(text, shown):
    assert for_terminal(text) == shown


@pytest.mark.parametrize("name", ["::set-output name=a::b", "x" * 77 + "::error::b ##[add-path]c"])
def test_layers_begin_no_line_with_a_command(tmp_path, name):
    def change(config):
        last = config["config"]["layers"][-1]
        config["config"]["output_layers"] = json.loads(
            json.dumps(config["config"]["output_layers"]).replace(last["name"], name)
        )
        last["name"] = last["config"]["name"] = name

    path = keras_files.archive(tmp_path, change)
    (tmp_path / "::error::b.keras").write_bytes(path.read_bytes())
    said = command(["layers", "::error::b.keras"], tmp_path).stdout
    assert said.count("\\x3a") > 1
    assert not [line for line in said.splitlines() if line.strip().startswith("::") or "##" in line]
