"""Pages of real models, from the command line."""

import re

import pytest
from zoo.samples import HOME, command

pytestmark = pytest.mark.slow
MODEL = HOME / "windows.onnx"
BATCH = ("--input", HOME / "digits.npz")


def page(tmp_path, *arguments):
    """(the page, what was printed)."""
    place = tmp_path / "report.html"
    done = command([*arguments, *BATCH, "-o", place])
    assert done.returncode == 0, done.stderr
    text = place.read_text()
    assert text.startswith("<!doctype html>")
    assert text.endswith("</html>\n")
    return text, done.stdout


def test_a_check(tmp_path):
    text, told = page(tmp_path, "check-batch-axis", MODEL)
    assert "proven: samples never mix" in told  # the log of CI has the report for people
    assert "proven: samples never mix" in text
    assert "Conv" in text
    assert len(re.findall("data-path=", text)) > 10
    assert 'data-state="separated"' in text
    assert "window_mix" in text


def test_a_comparison(tmp_path):
    text, _ = page(tmp_path, "compare", MODEL, MODEL)
    assert "is the same, bit for bit" in text
    assert 'data-state="agrees"' in text
    assert 'data-state="differs"' not in text


def test_a_sample_and_a_trace(tmp_path):
    text, told = page(tmp_path, "sample", MODEL, "--layer", "conv", "--index", "4")
    assert told == ""
    assert text.count("data:image/png;base64,") == 2
    assert "MIXED" not in text
    text, told = page(tmp_path, "trace", MODEL)
    assert told == ""
    assert "no NaN or Inf begins in the model" in text
    assert text.count("<tr>") > 10


def test_printed():
    done = command(["scan", MODEL, "--format", "html"])
    assert done.returncode == 0
    assert done.stdout.startswith("<!doctype html>")
    assert "nothing known to be dangerous was found" in done.stdout
