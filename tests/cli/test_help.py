"""The first screens that anyone sees."""

import subprocess
import sys
from importlib import import_module

import pytest

from kmr_cli.cli import COMMANDS


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=["kmr-inspect", *COMMANDS])
def test_help_fits_80_columns_and_shows_an_example(kmr, command):
    screen = kmr(*command, "--help")
    assert screen.code == 0
    assert screen.err == ""
    assert max(map(len, screen.out.splitlines())) <= 80
    assert "Examples:" in screen.out
    assert "\x1b" not in screen.out


def test_every_command_is_listed(kmr):
    screen = kmr("--help")
    assert all(f"  {name} " in screen.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_listed_with_its_own_words(name):
    command = import_module(f"kmr_cli.cli.{name.replace('-', '_')}").command
    assert command.name == name
    assert COMMANDS[name] == command.get_short_help_str(80)


def test_the_list_loads_no_command():
    script = (
        "import sys; from kmr_cli.cli import run; run(['--help']); print([m for m in sys.modules if 'kmr_cli' in m])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    loaded = done.stdout.splitlines()[-1]
    assert "'kmr_cli.cli.complaint'" in loaded
    assert not any(f"kmr_cli.cli.{name.replace('-', '_')}" in loaded for name in COMMANDS)


def test_no_command_shows_the_help_and_fails(kmr):
    screen = kmr()
    assert screen.code == 2
    assert "Usage: kmr-inspect" in screen.out + screen.err


def test_version(kmr):
    screen = kmr("--version")
    assert screen.code == 0
    assert screen.out.startswith("kmr-inspect, version 0.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lyers"], "No such command"),
        (["layers"], "Missing argument 'MODEL'"),
        (["layers", "m", "--dept", "1"], "No such option"),
        (["layers", "m", "--depth", "0"], "Invalid value for '--depth'"),
        (["sample", "m", "--index", "1"], "'--layer'"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_wrong_usage_is_one_line_and_a_hint(kmr, arguments, message):
    screen = kmr(*arguments)
    assert screen.code == 2
    assert screen.out == ""
    error, *hint = screen.err.splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert "--help" in hint[0]
    assert len(hint) == 1


def test_a_slip_in_the_command_is_recognized(kmr):
    assert "did you mean sample?" in kmr("sampel", "x.keras").err
    assert "did you mean check-batch-axis?" in kmr("check-batch", "x.keras").err


def test_a_model_without_a_command_says_what_to_type(kmr, tmp_path):
    (tmp_path / "my model.keras").write_bytes(b"PK")
    screen = kmr("my model.keras", cwd=tmp_path)
    assert (screen.code, screen.out) == (2, "")
    assert "my model.keras: give a command before the model" in screen.err
    assert "hint:  kmr-inspect layers 'my model.keras'" in screen.err
    assert "give a command" not in kmr("gone.keras", cwd=tmp_path).err


def test_a_missing_option_is_explained(kmr):
    error, hint = kmr("sample", "x.keras").err.splitlines()
    assert error == "error: Missing option '-l' / '--layer'"
    assert hint.startswith("hint:  --layer PATH: layer: its path, the unique end of it, or a glob; ")
    assert hint.endswith("see kmr-inspect sample --help")
