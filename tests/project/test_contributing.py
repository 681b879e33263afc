"""Follows the steps of CONTRIBUTING.md, as they stand there, in a copy of the package."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from zoo import toys

import kmr_cli

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(kmr_cli.__file__).parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
FENCE = re.compile(r"^(?P<margin> *)```(?P<info>[^\n]*)\n(?P<body>.*?)^ *```$", re.MULTILINE | re.DOTALL)


def steps(title):
    """(kind, argument, body) of every fenced block under a heading."""
    section = re.split(r"^## ", TEXT.split(f"## {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    for block in FENCE.finditer(section):
        language, _, argument = block["info"].partition(" ")
        yield language, argument, textwrap.dedent(block["body"])


@pytest.fixture
def checkout(tmp_path):
    """A folder that looks like a checkout: a copy of the package, the toy format, the sample models."""
    shutil.copytree(PACKAGE, tmp_path / "kmr_cli", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tests" / "zoo").mkdir(parents=True)
    shutil.copytree(ROOT / "tests" / "zoo" / "toy_format", tmp_path / "tests" / "zoo" / "toy_format")
    (tmp_path / "sample_models").symlink_to(ROOT / "sample_models")
    toys.save(tmp_path / "model.toy", toys.graph(), toys.weights())
    return tmp_path


def follow(title, checkout):
    """Do what the steps say; returns (command, output that the page shows, output) of every command."""
    shown = []
    for language, argument, body in steps(title):
        kind, _, place = argument.partition("=")
        if kind == "file":
            (checkout / place).write_text(body)
        elif kind == "table":
            file, _, table = place.partition(":")
            insert(checkout / file, table, body)
        elif language == "sh":
            subprocess.run(shlex.split(body), cwd=checkout, check=True)
        elif language == "console":
            command, _, expected = body.partition("\n")
            assert command.startswith("$ kmr-inspect ")
            shown.append((command, expected, run(checkout, *shlex.split(command.removeprefix("$ kmr-inspect ")))))
    return shown


def insert(file, table, lines):
    """Append lines to a dictionary that is written out, one entry a line."""
    text = file.read_text()
    begin = re.search(rf"^{table}\b[^\n]*{{\n", text, re.MULTILINE)
    assert begin, f"no table {table} in {file.name}"
    end = text.index("\n}\n", begin.end()) + 1
    file.write_text(text[:end] + textwrap.indent(textwrap.dedent(lines), "    ") + text[end:])


def run(checkout, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(checkout), "NO_COLOR": "1", "COLUMNS": "80"}
    command = [sys.executable, "-m", "kmr_cli", *arguments]
    done = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines()) or done.stderr


@pytest.mark.parametrize("title", ["Add an output", "Add a rule", "Add a format"])
def test_the_steps_lead_where_the_page_says(title, checkout):
    shown = follow(title, checkout)
    assert shown
    for command, expected, output in shown:
        assert output == expected, command


@pytest.mark.parametrize("title", ["Add an output", "Add a rule", "Add a format"])
def test_without_them_nothing_is_there(title, checkout):
    for language, _, body in steps(title):
        if language == "console":
            command, _, expected = body.partition("\n")
            assert run(checkout, *shlex.split(command.removeprefix("$ kmr-inspect "))) != expected
