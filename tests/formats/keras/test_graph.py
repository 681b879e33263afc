"""The graph of a Keras model, which TensorFlow traces: the proof names its layers as ``describe`` does."""

import keras
import pytest
from keras import layers
from zoo import keras2
from zoo.clean import keras_networks
from zoo.faults import keras_faults

from kmr_cli import open_model
from kmr_cli.errors import ModelLoadError
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.proof.verdict import prove

FAULTS = {case.name: case for case in keras_faults.cases() if case.format == "keras"}
CLEAN = {case.name: case for case in keras_networks.cases() if case.format == "keras"}


def proof(path, imports=()):
    format_, options = detect(path), OpenOptions(imports=tuple(imports))
    graph = format_.graph(path, options)
    listed = {"", *(layer.path for layer in format_.describe(path, options).layers)}
    assert {operator.layer for operator in graph.operators} <= listed
    return prove(graph)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("mean, shared", "meet"),
        ("softmax, nested", "meet"),
        ("cumsum, in a custom layer", "meet"),
        ("LSTM over samples", "meet"),
        ("attention over samples", "meet"),
        ("by place", "place"),
        ("by size", "count"),
        ("dropout left on", "unknown"),
    ],
)
def test_a_seeded_fault_is_never_proven(tmp_path, name, answer):
    case = FAULTS[name]
    claims = proof(case.build(tmp_path), case.imports).claims
    assert {claim.answer for claim in claims} == {answer}, claims
    if answer == "meet":
        assert claims[0].layer == case.layer


@pytest.mark.parametrize(
    "name", ["transformer decoder", "masked language model", "map over samples", "siamese", "u net"]
)
def test_a_clean_model_is_proven(tmp_path, name):
    case = CLEAN[name]
    assert proof(case.build(tmp_path), case.imports).proven


def test_state_that_is_written_in_every_call(tmp_path):
    case = FAULTS["running state"]
    (claim,) = proof(case.build(tmp_path), case.imports).claims
    assert claim.answer == "state"


def test_files_of_keras_2(tmp_path):
    found = proof(keras2.saved("cnn", tmp_path, ".keras"))
    assert found.proven
    assert {operator.layer for operator in found.owners.graph.operators} != {""}


def test_code_that_asks_for_values(tmp_path):
    class Asks(layers.Layer):
        def call(self, x):
            return x * 2 if float(x[0, 0]) > 0 else x

        def compute_output_shape(self, shape):
            return shape

    x = keras.Input((3,), name="x")
    path = tmp_path / "asks.keras"
    keras.Model(x, Asks(name="asks")(x)).save(path)
    options = OpenOptions(custom=(("Asks", Asks),))
    with pytest.raises(ModelLoadError, match="cannot trace"):
        detect(path).graph(path, options)


def test_code_that_reads_the_batch_size(tmp_path):
    """Eager code sees a number where the traced one sees None."""

    class FastPath(layers.Layer):
        def call(self, x):
            size = x.shape[0]
            return x - keras.ops.mean(x, 0) if size is not None and size > 18 else x * 2

    x = keras.Input((3,), name="x")
    path = tmp_path / "fast.keras"
    keras.Model(x, FastPath(name="fast")(x)).save(path)
    options = OpenOptions(custom=(("FastPath", FastPath),))
    with pytest.raises(ModelLoadError, match="reads the batch size"):
        detect(path).graph(path, options)


def test_from_python(tmp_path):
    with open_model(CLEAN["siamese"].build(tmp_path), in_process=True) as model:
        assert model.prove().proven
