"""Everything that the documents show can be run as it stands."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest
from zoo.samples import python

import kmr_cli.api.model
from kmr_cli.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("code", [code for code in blocks("python") if "def test_" not in code])
def test_python_examples_run(code):
    run = python("-c", code, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    assert "separated" in run.stdout


@pytest.mark.slow
def test_example_tests_pass(tmp_path):
    (example,) = [code for code in blocks("python") if "def test_" in code]
    file = tmp_path / "test_example.py"
    file.write_text(example)
    run = python("-m", "pytest", "-q", "-c", ROOT / "pyproject.toml", "--rootdir", ROOT, file, cwd=ROOT)
    assert run.returncode == 0, run.stdout
    assert "1 passed" in run.stdout


@pytest.mark.slow
def test_docstring_examples_run(monkeypatch):
    monkeypatch.chdir(ROOT)
    result = doctest.testmod(kmr_cli.api.model)
    assert result.attempted > 0
    assert result.failed == 0


def test_every_command_and_option_that_is_named_exists():
    help_text = ""
    for command in ([], *([name] for name in COMMANDS)):
        run = subprocess.run(
            [sys.executable, "-m", "kmr_cli", *command, "--help"], capture_output=True, text=True, check=True
        )
        help_text += run.stdout
    run = subprocess.run([sys.executable, "-m", "pytest", "--help"], capture_output=True, text=True, check=True)
    help_text += run.stdout
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    assert named
    assert {option for option in named if not re.search(rf"{option}\b", help_text)} == set()


def test_a_shape_may_have_a_dtype_wherever_shapes_are_reported():
    assert README.count("--shape NAME=N,N:DTYPE") > 1
    for command in (["pytest"], ["kmr_cli", "sample"]):
        run = subprocess.run([sys.executable, "-m", *command, "--help"], capture_output=True, text=True, check=True)
        assert "Shape of ONE sample, and its dtype, for synthetic data" in " ".join(run.stdout.split())


def test_screens_are_there_for_every_command():
    shown = re.findall(r"^\$ kmr-inspect ([\w-]+)", README, re.MULTILINE)
    assert {"layers", "sample", "check-batch-axis", "compare"} <= set(shown)
    assert all(len(block.splitlines()) > 5 for block in blocks("console"))


def test_every_file_that_is_named_is_there():
    for name in set(re.findall(r"sample_models/[\w.]+", README)):
        assert (ROOT / name).exists(), name
