"""-o and --format of every command, run for real: what is implied, what two runs have in common, and early readers."""

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import h5py
import jsonschema
import numpy as np
import pytest
from zoo.samples import COMMAND, HOME

from kmr_cli.render.documents.json import dumps

DOCS = Path(__file__).parents[2] / "docs"
MODEL, BATCH = HOME / "digits.onnx", HOME / "digits.npz"
SAMPLE = ("sample", MODEL, "-l", "head", "-i", "4", "--input", BATCH)
COMMANDS = {
    "layers": ("layers", HOME / "digits.keras"),
    "sample": SAMPLE,
    "check-batch-axis": ("check-batch-axis", MODEL, "--input", BATCH),
    "compare": ("compare", MODEL, MODEL, "--input", BATCH),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_two_runs_differ_only_in_what_stands_under_run(kmr, tmp_path, name):
    texts = []
    for place in (tmp_path / "first.json", tmp_path / "second.json"):
        assert kmr(*COMMANDS[name], "-o", place).code == 0
        document = json.loads(place.read_text())
        jsonschema.validate(document, json.loads((DOCS / f"{name}.schema.json").read_text()))
        assert document["schema"] == 2
        run = document.pop("run")
        assert run["date"].endswith("Z")
        assert run["seconds"] > 0
        assert run["machine"]
        texts.append(dumps(document))
    assert texts[0] == texts[1]


@pytest.mark.slow
def test_the_suffix_implies_the_format(kmr, tmp_path):
    check = COMMANDS["check-batch-axis"]
    printed = kmr(*check).same
    for name in ("c.json", "c.sarif", "c.xml"):
        screen = kmr(*check, "-o", tmp_path / name)
        assert (screen.code, screen.same) == (0, printed)
        assert f"wrote {tmp_path / name}" in screen.err
    assert json.loads((tmp_path / "c.json").read_text())["verdict"] == "pass"
    assert json.loads((tmp_path / "c.sarif").read_text())["version"] == "2.1.0"
    assert ET.parse(tmp_path / "c.xml").getroot().get("failures") == "0"


@pytest.mark.slow
def test_data_files_hold_the_same_value(kmr, tmp_path):
    for suffix in ("npy", "npz", "h5", "json"):
        screen = kmr(*SAMPLE, "--side", "out", "-o", tmp_path / f"s.{suffix}")
        assert (screen.code, screen.out) == (0, ""), screen.err
        assert f"wrote {tmp_path / 's'}.{suffix}: 1 array\n" in screen.err
    value = np.load(tmp_path / "s.npy")
    with np.load(tmp_path / "s.npz") as archive, h5py.File(tmp_path / "s.h5") as file:
        assert np.array_equal(archive["head#0.out0"], value)
        assert np.array_equal(file["head#0/out0"][:], value)
    (record,) = json.loads((tmp_path / "s.json").read_text())["records"]
    assert np.array_equal(np.asarray(record["value"], value.dtype), value)


@pytest.mark.parametrize("command", [["layers"], ["sample", "-l", "*", "-i", "0"], ["check-batch-axis"]])
def test_what_cannot_be_written_is_refused_before_anything_runs(kmr, tmp_path, command):
    name, *options = command
    for place, more, message in (
        ("found.txt", [], "error: found.txt: cannot tell the format from the name"),
        ("none/found.json", [], "error: none/found.json: there isn't a folder none"),
        (".", [], "error: .: "),
    ):
        screen = kmr(name, "gone.keras", *options, "-o", place, *more, cwd=tmp_path)
        assert (screen.code, screen.out) == (2, "")
        assert screen.err.startswith(message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format_", ["terminal", "json"])
def test_a_reader_that_leaves_early_is_not_a_failure(tmp_path, format_):
    layers = f"'{COMMAND}' layers '{HOME / 'windows.keras'}' --format {format_}"
    line = f"({layers}; echo $? > code) | head -n 1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=True)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""
    assert (tmp_path / "code").read_text() == "0\n"
