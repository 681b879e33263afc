"""The table of outputs: who writes what, which of them -o and --format mean, and how one is added."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from zoo import outcomes
from zoo.samples import HOME

from kmr_cli.errors import OutputError
from kmr_cli.render import outputs
from kmr_cli.render.contents import Run, of_check
from kmr_cli.render.outputs import CONTENTS, OUTPUTS, TERMINAL, choose, formats_of, save, suffixes_of

CASES = [
    ("check-batch-axis", None, None, None),
    ("check-batch-axis", TERMINAL, None, None),
    ("check-batch-axis", "junit", None, "junit"),
    ("check-batch-axis", None, "found.html", "html"),
    ("check-batch-axis", None, "found.xml", "junit"),
    ("check-batch-axis", None, "found.sarif", "sarif"),
    ("check-batch-axis", None, "found.sarif.json", "sarif"),
    ("check-batch-axis", None, "found.nodes.json", "model-explorer"),
    ("compare", None, "found.nodes.json", "json"),  # which that command does not write
    ("compare", None, "FOUND.JSON", "json"),
    ("compare", "sarif", "found.sarif.json", "sarif"),
    ("compare", "github", "found.txt", "github"),
    ("compare", "json", "tensors.h5", "json"),  # no output of this command is meant by .h5
    ("layers", None, "found.json", "json"),
    ("sample", None, "o.npz", "npz"),
    ("sample", None, "o.hdf5", "hdf5"),
    ("sample", None, "o.png", "png"),
    ("sample", "json", None, "json"),
    ("snapshot", None, "m.kmr.json", "snapshot"),
    ("snapshot", None, "m.json", "snapshot"),
]
REFUSED = [
    ("check-batch-axis", None, "found.txt", "cannot tell the format from the name",
     "end it in .json, .html, .xml, .sarif, .sarif.json or .nodes.json; github needs --format"),
    ("check-batch-axis", "junit", "x.sarif", "its name says sarif, and --format says junit", "end the name in .xml"),
    ("check-batch-axis", "github", "x.xml", "its name says junit, and --format says github", "another name"),
    ("check-batch-axis", "json", "x.sarif.json", "its name says sarif, and --format says json", "in .json"),
    ("check-batch-axis", TERMINAL, "x.json", "--format terminal is for the screen", "leave --format out"),
    ("check-batch-axis", None, "x.npz", "cannot tell the format", ".xml"),
    ("layers", None, "x.xml", "cannot tell the format from the name", "end it in .json"),
    ("sample", "json", "x.npz", "its name says npz, and --format says json", "end the name in .json"),
    ("sample", None, "x", "cannot tell the format from the name", ".json, .html, .npy, .npz, .h5, .hdf5 or .png"),
    ("snapshot", None, "x.npz", "cannot tell the format from the name", "end it in .kmr.json or .json"),
]  # fmt: skip


@pytest.mark.parametrize("name", OUTPUTS)
def test_every_line_leads_to_a_module_that_keeps_its_promise(name):
    line = OUTPUTS[name]
    module = import_module(line.module)
    assert callable(module.render if line.text else module.write)
    assert set(line.shows) <= set(CONTENTS.values())
    assert line.shows
    assert line.suffixes or line.text, "a data file that no suffix names could never be written"
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in line.suffixes)


@pytest.mark.parametrize("command", CONTENTS)
def test_no_suffix_of_a_command_means_two_outputs(command):
    suffixes = suffixes_of(command)
    assert len(suffixes) == len(set(suffixes)) > 0


@pytest.mark.parametrize(("command", "format_", "place", "chosen"), CASES)
def test_chosen(command, format_, place, chosen):
    assert format_ is None or format_ in formats_of(command)
    assert choose(command, format_, None if place is None else Path(place)) == chosen


@pytest.mark.parametrize(("command", "format_", "place", "message", "hint"), REFUSED)
def test_refused(command, format_, place, message, hint):
    with pytest.raises(OutputError, match=message) as caught:
        choose(command, format_, Path(place))
    assert hint in caught.value.hint


def test_a_document_is_written_whole_or_not_at_all(tmp_path):
    (tmp_path / "found.json").write_text("old")
    with pytest.raises(OutputError, match="exists already"):
        save("json", [], tmp_path / "found.json", overwrite=False)
    assert (tmp_path / "found.json").read_text() == "old"
    save("json", [], tmp_path / "found.json", overwrite=True)
    assert json.loads((tmp_path / "found.json").read_text()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


DOCUMENT = """
def render(content):
    if hasattr(content, "layers"):
        return "".join(f"{layer.path}\\n" for layer in content.layers)
    return "".join(f"{outcome.path} {outcome.verdict}\\n" for outcome in content)
"""
DATA = """
from kmr_cli.errors import OutputError
from kmr_cli.render import outputs
from kmr_cli.render.contents import Run, of_check

def write(path, samples):
    path.write_bytes(b"".join(record.value.tobytes() for record in samples.records))

def refuse(number):
    if number > 1:
        raise OutputError("one value only")
"""
PROGRAM = """
from kmr_cli.render.outputs import OUTPUTS, Line
OUTPUTS["lines"] = Line("added_document", (".lines",), ("outcomes", "listing"))
OUTPUTS["raw"] = Line("added_data", (".raw",), ("samples",), text=False)
from kmr_cli.__main__ import main
main()
"""


@pytest.fixture
def extended(tmp_path):
    """The program with two outputs more: a file and a line in the table for each."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "added_document.py").write_text(DOCUMENT)
    (modules / "added_data.py").write_text(DATA)

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, *map(str, arguments)], capture_output=True, text=True, cwd=tmp_path,
            timeout=120, check=False, env={**os.environ, "PYTHONPATH": str(modules)},
        )  # fmt: skip

    return run


def test_an_added_document_is_there_in_every_command_that_reports(extended, tmp_path):
    listed = extended("layers", HOME / "digits.keras", "--format", "lines")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "conv1\n" in listed.stdout
    written = extended("layers", HOME / "digits.keras", "-o", "layers.lines")
    assert (written.returncode, written.stdout, written.stderr) == (0, "", "wrote layers.lines\n")
    assert (tmp_path / "layers.lines").read_text() == listed.stdout
    for command in (("check-batch-axis", "gone.pt", "lost.pt"), ("compare", "gone.pt", "lost.pt")):
        models = [name for name in command[1:] if command[0] != "compare" or name == "gone.pt"]
        assert extended(*command, "-o", "found.lines", "--force").returncode == 2
        assert (tmp_path / "found.lines").read_text() == "".join(f"{model} error\n" for model in models)
        assert extended(*command, "--format", "lines").stdout == (tmp_path / "found.lines").read_text()
        assert "lines]" in extended(command[0], "--help").stdout
    assert "or .lines" in extended("check-batch-axis", "gone.pt", "-o", "found.txt").stderr
    refused = extended("check-batch-axis", "gone.pt", "--format", "junit", "-o", "x.lines")
    assert "its name says lines, and --format says junit" in refused.stderr


@pytest.mark.slow
def test_an_added_data_file_is_there_for_samples(extended, tmp_path):
    arguments = ("sample", HOME / "digits.onnx", "-l", "head", "-i", "4", "--input", HOME / "digits.npz")
    done = extended(*arguments, "--side", "out", "-o", "head.raw")
    assert done.returncode == 0, done.stderr
    assert "wrote head.raw: 1 array" in done.stderr
    assert (tmp_path / "head.raw").stat().st_size == 10 * 4
    refused = extended(*arguments, "-o", "both.raw")
    assert refused.returncode == 2
    assert "error: one value only" in refused.stderr
    assert not (tmp_path / "both.raw").exists()
    assert "raw" not in formats_of("sample")


@pytest.mark.parametrize("name", ["json", "junit", "sarif"])
@pytest.mark.parametrize("case", ["clean", "several", "findings", "hostile"])
def test_a_report_is_known_by_its_first_bytes(tmp_path, name, case):
    place = tmp_path / "report"
    results = [of_check(one, one.path, Run()) for one in outcomes.CASES[case] if not isinstance(one, tuple)]
    place.write_text(outputs.render(name, results))
    assert outputs.is_own_report(name, place)
    for other in {"json", "junit", "sarif"} - {name}:
        assert not outputs.is_own_report(other, place)
    place.write_text(place.read_text().replace("kmr-inspect", "other").replace("check-batch-axis", "other"))
    assert not outputs.is_own_report(name, place)


def test_what_is_not_a_report_of_ours_is_not_known(tmp_path):
    snapshot = Path(__file__).parents[2] / "sample_models" / "snapshots" / "digits.keras.kmr.json"
    (tmp_path / "notes.json").write_text('{"schema": 2, "title": "kmr-inspect"}')
    for place in (snapshot, tmp_path / "notes.json", tmp_path / "gone.json", tmp_path):
        assert not outputs.is_own_report("json", place)
    assert not outputs.is_own_report("npz", tmp_path / "notes.json")


def test_a_name_that_tells_no_format_may_stay_with_format(tmp_path):
    with pytest.raises(OutputError) as caught:
        choose("check-batch-axis", None, tmp_path / "x.txt")
    assert "add --format json|html|junit|sarif|github|model-explorer" in caught.value.hint
    assert choose("check-batch-axis", "sarif", tmp_path / "x.txt") == "sarif"
    with pytest.raises(OutputError) as caught:
        choose("snapshot", None, tmp_path / "x.txt")
    assert "--format" not in caught.value.hint
