"""``check-batch-axis --training``, run for real."""

import json
from pathlib import Path

import jsonschema
import pytest
from zoo.samples import HOME

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "check-batch-axis.schema.json").read_text())
LAYERS = """
import keras, torch

class Block(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.norm = keras.layers.BatchNormalization()
        self.drop = keras.layers.Dropout(0.3)

    def call(self, x, training=None):
        return self.drop(self.norm(x, training=training), training=training)

class Leaky(Block):
    def call(self, x, training=None):
        return keras.ops.softmax(super().call(x, training=training), axis=0)

class Norm(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(5)
        self.drop = torch.nn.Dropout(0.3)

    def forward(self, x):
        return self.drop(self.norm(x))

class CannotBeScripted(torch.nn.Module):
    def forward(self, *anything):
        return anything[0] * 2
"""
CLASS = ("check-batch-axis", "--shape", "5", "--training", "--layer-class")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "my_layers.py").write_text(LAYERS)
    return tmp_path


def design(document):
    return [(f["rule"], f["layer"]) for f in document["findings"] if f["by_design"] and f["severity"] == "error"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "layer"), [("Block", "block/norm"), ("Norm", "norm")])
def test_a_layer_class_that_normalises_over_the_batch(kmr, folder, name, layer):
    screen = kmr(*CLASS, f"my_layers:{name}", cwd=folder)
    assert screen.code == 0, screen.out + screen.err
    lines = screen.out.splitlines()
    assert lines[0] == f"my_layers:{name}, in training mode"
    assert lines[1] == "pass: the samples of a batch mix only where that is by design in training mode,"
    said = " ".join(" ".join(lines[2:7]).split())
    assert "of the passes ran with the layers that mix by design put into inference mode" in said
    assert f"error KMR101 cross-sample-leak at {layer} (by design in training mode)" in lines
    assert "independent" not in screen.out
    assert "fix:" not in screen.out
    assert max(map(len, lines)) <= 80
    document = json.loads(kmr(*CLASS, f"my_layers:{name}", "--format", "json", cwd=folder).out)
    jsonschema.validate(document, SCHEMA)
    assert (document["training"], document["verdict"]) == (True, "pass")
    assert design(document) == [("KMR101", layer)]


@pytest.mark.slow
def test_a_leak_behind_the_norm_fails(kmr, folder):
    screen = kmr(*CLASS, "my_layers:Leaky", "--format", "json", cwd=folder)
    assert screen.code == 1, screen.err
    document = json.loads(screen.out)
    leaks = [f["layer"] for f in document["findings"] if f["severity"] == "error" and not f["allowed"]]
    assert leaks == ["leaky"]
    assert design(document) == [("KMR101", "leaky/norm")]


@pytest.mark.slow
def test_a_torch_class_that_can_only_be_traced_is_refused(kmr, folder):
    screen = kmr(*CLASS, "my_layers:CannotBeScripted", cwd=folder)
    assert screen.code == 2
    (error,) = (line for line in screen.err.splitlines() if line.startswith("error: "))
    assert error.startswith("error: CannotBeScripted: has no training mode")


@pytest.mark.slow
def test_a_saved_model_is_refused(kmr):
    screen = kmr("check-batch-axis", HOME / "digits_savedmodel", "--training", "--input", HOME / "digits.npz")
    assert screen.code == 2, screen.out
    (error,) = (line for line in screen.err.splitlines() if line.startswith("error: "))
    assert error.endswith("a SavedModel has no training mode: it was fixed when the model was exported")
    assert "check the model it was exported from" in screen.err


@pytest.mark.slow
def test_sample_models_in_training_mode(kmr):
    screen = kmr("check-batch-axis", HOME / "digits.keras", "--training", "--input", HOME / "digits.npz")
    assert screen.code == 0, screen.err
    assert "digits.keras, in training mode\npass: the samples of a batch" in screen.out


@pytest.mark.slow
def test_the_bundled_library_in_training_mode(kmr):
    screen = kmr("check-batch-axis", "--training")
    assert screen.code == 0, screen.err
    assert "forms of the bundled layers checked in training mode" in screen.out
    assert max(map(len, screen.out.splitlines())) <= 80


def test_help_names_it(kmr):
    assert "--training" in kmr("check-batch-axis", "--help").out
