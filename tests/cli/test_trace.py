"""The ``trace`` command, run for real."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from onnx import helper
from zoo.onnx_models import constant, model, save, tensor, weights
from zoo.samples import HOME

from kmr_cli import open_model

pytestmark = pytest.mark.slow
DOCUMENTED = json.loads((Path(__file__).parents[2] / "docs" / "trace.schema.json").read_text())
BATCH = ("--input", HOME / "digits.npz")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """``root.onnx`` takes a square root half-way; ``rows.onnx`` looks up a row by the first number of each sample."""
    folder = tmp_path_factory.mktemp("models")
    dense = [weights("w", 4, 4), constant("one", 1.0, np.float32), constant("zero", [0])]
    into, out = [tensor("x", ["batch", 4])], [tensor("y", ["batch", 4])]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], "/first/MatMul"),
        helper.make_node("Sqrt", ["x"], ["b"], "/root/Sqrt"),
        helper.make_node("Add", ["a", "b"], ["y"], "/last/Add"),
    ]
    save(model(nodes, into, out, dense[:1]), folder / "root.onnx")
    nodes = [
        helper.make_node("Tanh", ["x"], ["t"], "/first/Tanh"),
        helper.make_node("Gather", ["x", "zero"], ["c"], "/pick/Gather", axis=1),
        helper.make_node("Cast", ["c"], ["n"], "/pick/Cast", to=7),
        helper.make_node("Gather", ["w", "n"], ["r"], "/row/Gather", axis=0),
        helper.make_node("Squeeze", ["r", "axis"], ["s"], "/row/Squeeze"),
        helper.make_node("Add", ["s", "t"], ["y"], "/last/Add"),
    ]
    save(model(nodes, into, out, [dense[0], dense[2], constant("axis", [1])]), folder / "rows.onnx")
    x = np.abs(np.random.default_rng(0).standard_normal((5, 4))).astype(np.float32)
    np.save(folder / "x.npy", x)
    x[3, 1] = -1
    np.save(folder / "bad.npy", x)
    x[2, 0] = 9  # the table has four rows
    np.save(folder / "far.npy", x)
    return folder


@pytest.mark.parametrize("name", ["digits.onnx", "digits.keras", "digits_savedmodel", "digits_scripted.pt"])
def test_a_map_of_a_healthy_model(kmr, name):
    screen = kmr("trace", HOME / name, *BATCH)
    assert screen.code == 0, screen.err
    lines = screen.out.splitlines()
    assert max(map(len, lines[1:])) <= 80
    assert "11 samples, one pass; samples from left to right" in lines
    (head,) = (line for line in lines if line.startswith("head "))
    assert len(head.split()[-1]) == 11
    assert lines[-1] == "no NaN or Inf begins in the model"
    assert "\x1b" not in screen.out


def test_the_layer_and_sample_at_which_nan_begins(kmr, models):
    screen = kmr("trace", models / "root.onnx", "--input", models / "bad.npy")
    assert screen.code == 1, screen.err
    assert "KMR304 error  root out0: NaN or Inf comes out of finite input, sample 3" in screen.out
    (line,) = (line for line in screen.out.splitlines() if line.startswith("root "))
    assert line.split()[-1][3] == "N"
    assert "N" not in line.split()[-1][:3]


def test_json_says_the_same(kmr, models, tmp_path):
    place = tmp_path / "trace.json"
    for _ in range(2):  # the second replaces what the first wrote
        screen = kmr("trace", models / "root.onnx", "--input", models / "bad.npy", "-o", place)
        assert (screen.code, screen.out) == (1, ""), screen.err
    found = json.loads(place.read_text())
    jsonschema.validate(found, DOCUMENTED)
    (finding,) = found["findings"]
    assert (finding["rule"], finding["layer"], finding["severity"]) == ("KMR304", "root", "error")
    (value,) = (one for one in found["values"] if (one["layer"], one["port"]) == ("root", "out0"))
    assert value["conditions"] == ["", "", "", "NaN", ""]
    assert value["nans"] == [0, 0, 0, 1, 0]
    assert value["axis_proven"] is True


def test_what_was_seen_of_a_batch_on_which_the_model_fails(kmr, models):
    screen = kmr("trace", models / "rows.onnx", "--input", models / "far.npy")
    assert screen.code == 2
    assert any(line.startswith("first ") for line in screen.out.splitlines())
    assert "last " not in screen.out
    assert screen.err.startswith("error: ")
    assert "Traceback" not in screen.err


def test_layers_are_chosen_as_everywhere(kmr, models):
    screen = kmr("trace", models / "root.onnx", "--input", models / "x.npy", "--layer", "first")
    assert screen.code == 0, screen.err
    assert "first" in screen.out
    assert "root " not in screen.out
    screen = kmr("trace", models / "root.onnx", "--layer", "frist")
    assert screen.code == 2
    assert "frist" in screen.err


def test_wide_batches_share_characters(models):
    with open_model(models / "root.onnx") as opened:
        x = np.ones((300, 4), np.float32)
        x[217] = -1
        shown = str(opened.trace(x))
    assert max(map(len, shown.splitlines())) <= 80
    assert "each character stands for" in shown
    assert "sample 217" in shown
    (line,) = (line for line in shown.splitlines() if line.startswith("root "))
    assert line.split()[-1].count("N") == 1
