"""The graph that the proof works on, as it stands in a SavedModel's bytes."""

import shutil

import pytest
from zoo import savedmodel as zoo
from zoo.faults import tensorflow_faults

from kmr_cli import open_model
from kmr_cli.errors import ModelFileError
from kmr_cli.formats import savedmodel
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.proof.verdict import prove

ANSWERS = {
    "keras_cnn_saved": "proven",
    "keras_nested": "proven",
    "keras_lstm": "proven",
    "keras_attention": "proven",
    "keras_lookup": "proven",
    "keras2_lstm": "proven",
    "keras2_shared": "proven",
    "module_reduction": "proven",
    "module_counting": "state",
    "tf1_variables": "proven",
    "tf1_control_flow": "unknown",
}


def graph(path, **options):
    return savedmodel.graph(path, OpenOptions(**options))


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_claimed(model, name):
    found = graph(model(name))
    claims = prove(found).claims
    assert {claim.answer for claim in claims} == {ANSWERS[name]}, claims
    listed = {"", *(layer.path for layer in savedmodel.describe(model(name), OpenOptions()).layers)}
    assert {operator.layer for operator in found.operators} <= listed


FAULTS = {case.name: case for case in tensorflow_faults.cases()}


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("batch norm, tf.Module", "meet"),
        ("one scale above 18 samples, tf.Module", "meet"),
        ("by place, tf.Module", "place"),
        ("by size, tf.Module", "count"),
        ("counter, tf.Module", "state"),
        ("dropout, tf.Module", "unknown"),
    ],
)
def test_a_seeded_fault_is_never_proven(tmp_path, name, answer):
    (claim,) = prove(graph(FAULTS[name].build(tmp_path))).claims
    assert claim.answer == answer
    if answer == "meet":
        assert claim.layer.startswith("fault")


def test_a_write_that_no_output_waits_for(tmp_path):
    import tensorflow as tf

    def run(self, x):
        self.seen.assign_add(tf.reduce_sum(x))
        return {"y": x * 2.0}

    module = zoo._module(run, {"seen": tf.Variable(0.0, name="seen")}, [tf.TensorSpec((None, 3), name="x")])
    path = zoo._save(module, tmp_path / "model", signatures=module.run)
    (claim,) = prove(graph(path)).claims
    assert claim.answer == "state"
    assert "seen" in claim.reason


def test_an_input_that_is_the_same_for_the_whole_batch(tmp_path):
    import tensorflow as tf

    def run(self, x, table):
        return {"y": x @ table}

    specs = [tf.TensorSpec((None, 3), name="x"), tf.TensorSpec((None, 3), name="table")]
    module = zoo._module(run, {}, specs)
    path = zoo._save(module, tmp_path / "model", signatures=module.run)
    assert prove(graph(path)).claims[0].answer != "proven"
    import numpy as np

    fixed = graph(path, constants=(("table", np.zeros((3, 3), np.float32)),))
    assert dict(fixed.inputs)["serving_default_table:0"] == "weight"


def test_from_python(model):
    with open_model(model("keras_lstm")) as opened:
        assert str(opened.prove()) == "proven: samples never mix, for every input, at every batch size"


def test_a_file_that_is_cut_short(model, tmp_path):
    path = tmp_path / "cut"
    shutil.copytree(model("keras_lstm"), path)
    file = path / "saved_model.pb"
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(ModelFileError):
        graph(path)
