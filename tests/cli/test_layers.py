"""The ``layers`` command."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from zoo.samples import DATA, HOME, LAST

DOCUMENTED = json.loads((Path(__file__).parents[2] / "docs" / "layers.schema.json").read_text())


@pytest.mark.parametrize("name", DATA)
def test_tree_of_every_sample_model(kmr, name):
    screen = kmr("layers", HOME / name, cwd=HOME)
    assert (screen.code, screen.err) == (0, "")
    assert max(map(len, screen.out.splitlines())) <= max(80, len(str(HOME / name)) + 40)
    assert "input " in screen.out
    assert "parameters in the model" in screen.out


@pytest.mark.parametrize("name", DATA)
def test_json_says_the_same(kmr, name):
    found = json.loads(kmr("layers", HOME / name, "--format", "json").out)
    jsonschema.validate(found, DOCUMENTED)
    assert (found["schema"], found["command"]) == (2, "layers")
    assert found["parameters"] > 0
    paths = [layer["path"] for layer in found["layers"]]
    assert len(paths) == len(set(paths))
    assert any(path.endswith(LAST.get(name, "head")) for path in paths)
    # The code that Keras traces on torch casts whatever comes in, so nothing in the file tells what is wanted.
    assert all(spec["dtype"] for spec in found["inputs"]) != (name == "recommender.pt")


def test_long_adds_what_enters_and_the_dtype(kmr):
    short, long = (kmr("layers", HOME / "digits.keras", *more).out for more in ([], ["--long"]))
    assert "    (batch, 8, 8, 1) -> (batch, 8, 8, 16)  float32" in long.splitlines()
    assert set(short.splitlines()) < set(long.splitlines())


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("digits.keras", "Keras archive, written by Keras 3"),
        ("digits.h5", "HDF5 file, written by Keras 2"),
        ("digits_savedmodel", "SavedModel, written by TensorFlow 2"),
        ("digits_scripted.pt", "PyTorch (TorchScript archive version"),
    ],
)
def test_the_first_line_names_format_and_writer(kmr, name, title):
    assert f"{name}  {title}" in kmr("layers", name, cwd=HOME).out.splitlines()[0]


ZOO = Path(__file__).parents[1] / "zoo" / "onnx"


def test_a_run_on_a_given_shape_shows_what_the_file_leaves_open(kmr):
    path = ZOO / "bert-old.onnx"
    assert "MatMul              (batch, 5, 16)" not in kmr("layers", path).out
    shapes = [part for name in ("ids", "kinds", "mask") for part in ("--shape", f"{name}=5:int64")]
    screen = kmr("layers", path, *shapes)
    assert (screen.code, screen.err) == (0, "")
    assert "    linear1    MatMul              (batch, 5, 16)     144" in screen.out.splitlines()
    assert "~" not in screen.out
    found = json.loads(kmr("layers", path, *shapes, "--format", "json").out)
    jsonschema.validate(found, DOCUMENTED)
    wrong = kmr("layers", path, "--shape", "ids=6,1:int64")
    assert wrong.code == 2
    assert "--shape ids=6,1 does not fit" in wrong.err


def test_what_grows_with_the_batch_is_told_by_a_run(kmr):
    """Windows are merged into axis 0; the file of the older exporter does not tell by how much."""
    shown = kmr("layers", ZOO / "windows-old.onnx", "--shape", "8,3").out
    assert "(batch, 8, " in shown
    assert "*batch, " in shown


def test_filter_and_depth(kmr):
    screen = kmr("layers", HOME / "pair.keras", "--filter", "tower/*", "--format", "json")
    assert {layer["path"].partition("/")[0] for layer in json.loads(screen.out)["layers"]} == {"tower"}
    screen = kmr("layers", HOME / "pair.keras", "--depth", "1", "--format", "json")
    assert all("/" not in layer["path"] for layer in json.loads(screen.out)["layers"])
    assert "6 of 13 layers" in kmr("layers", HOME / "pair.keras", "--filter", "tower/*").out


def test_a_filter_that_matches_nothing_says_so(kmr):
    screen = kmr("layers", HOME / "pair.keras", "--filter", "zzz*")
    assert screen.code == 2
    assert "no layer matches 'zzz*'" in screen.err


@pytest.mark.parametrize("name", ["digits.keras", "digits.h5", "digits_savedmodel", "digits_scripted.pt"])
def test_needs_no_framework(kmr, name, tmp_path):
    for framework in ("tensorflow", "torch", "keras", "tf_keras"):
        (tmp_path / f"{framework}.py").write_text("raise ImportError('a framework was imported')")
    screen = kmr("layers", HOME / name, PYTHONPATH=str(tmp_path))
    assert (screen.code, screen.err) == (0, "")


@pytest.mark.parametrize("name", ["digits.keras", "digits.onnx", "digits.pt2", "windows.pt", "digits_savedmodel"])
def test_the_program_itself_imports_neither_numpy_nor_records_that_it_does_not_show(name):
    script = (
        "import sys; from kmr_cli.cli import run; print('CODE', run(['layers', sys.argv[1]]));"
        "print(sorted({'numpy', 'h5py', 'kmr_cli.records.check', 'kmr_cli.proof.graph'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, HOME / name], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-2:] == ["CODE 0", "[]"]
