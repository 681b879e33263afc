"""The graph of a Keras model, which TensorFlow traces: the proof names its layers as ``describe`` does."""

from contextlib import contextmanager, nullcontext

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from zoo import keras2
from zoo.clean import keras_networks
from zoo.faults import keras_faults

from kmr_cli import open_model
from kmr_cli.errors import BatchError, ModelLoadError
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions, Taps
from kmr_cli.formats.keras import archive
from kmr_cli.formats.keras.run.own_code import has_own_code
from kmr_cli.formats.keras.run.paths import find_places
from kmr_cli.proof.owners import Routed
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
        ("cumsum, in a custom layer", "meet"),
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


@pytest.mark.parametrize("name", ["transformer decoder", "map over samples"])
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


class FastPath(layers.Layer):
    """Does something else to a batch of a size that it likes: a number in eager code, None in a trace."""

    def __init__(self, liked, **more):
        super().__init__(**more)
        self.liked = liked

    def call(self, x):
        size = x.shape[0]
        return x - keras.ops.mean(x, 0) if size is not None and self.liked(size) else x * 2


@pytest.mark.parametrize(
    "liked", [lambda size: size > 18, lambda size: size == 1, lambda size: size < 4, lambda size: size == 20]
)
def test_code_that_reads_the_batch_size(liked):
    x = keras.Input((3,), name="x")
    refused = pytest.raises(ModelLoadError, match=r"reads the batch size.*test_graph.py:\d+")
    with keras_session(keras.Model(x, FastPath(liked)(x))) as session, refused:
        session.graph()


class Sorts(layers.Layer):
    """Sorts the samples, which TensorFlow does with fewer operations where it knows their number, and back."""

    def __init__(self, likes=lambda size: False, **more):
        super().__init__(**more)
        self.likes = likes

    def call(self, x):
        order = tf.argsort(x[:, 0])
        there = tf.gather(x, order)
        sizes = tf.get_static_value(tf.shape(x))
        there = there - tf.reduce_mean(there, 0) if sizes is not None and self.likes(sizes[0]) else there * 2.0
        return tf.gather(there, tf.argsort(order))


def test_less_done_at_a_known_size_behind_a_sort_is_no_other_path():
    x = keras.Input((3,), name="x")
    with keras_session(keras.Model(x, Sorts(name="sorts")(layers.Dense(3)(x)))) as session:
        proof = prove(session.graph())
    assert [claim.answer for claim in proof.claims] == ["unknown"]
    assert isinstance(proof.claims[0].owner, Routed)
    assert proof.claims[0].layer == "sorts"


@pytest.mark.parametrize("liked", [1, 8, 1009])
def test_more_done_there_is(liked):
    x = keras.Input((3,), name="x")
    sorts = Sorts(lambda size: size == liked, name="sorts")
    with keras_session(keras.Model(x, sorts(x))) as session, pytest.raises(ModelLoadError, match=f"at {liked} sample"):
        session.graph()


class Reads(layers.Layer):
    """Asks for sizes in some way, and does the same whatever they are."""

    def __init__(self, read, **more):
        super().__init__(**more)
        self.read = read

    def call(self, x):
        self.read(x)
        return x * 2


@pytest.mark.parametrize(
    ("read", "proven"),
    [
        (lambda x: x.shape[0], False),
        (lambda x: x.shape[-2], False),
        (lambda x: x.shape[:1], False),
        (lambda x: tuple(x.shape), False),
        (lambda x: x.shape == (20, 3), False),
        (lambda x: x.shape.is_compatible_with((20, 3)), False),
        (lambda x: np.prod(x.shape[1:]), True),
        (lambda x: x.shape[1], True),
        (lambda x: len(x.shape), True),
        (lambda x: keras.ops.shape(x)[0], True),
    ],
)
def test_which_sizes_are_read(read, proven):
    """In a pass they are numbers; in a trace some are None."""
    x = keras.Input((3,), name="x")
    refused = nullcontext() if proven else pytest.raises(ModelLoadError, match="reads the batch size")
    with keras_session(keras.Model(x, Reads(read)(x))) as session, refused:
        assert prove(session.graph()).proven


class OwnCell(layers.LSTMCell):
    """Somebody else's, though it does what Keras' own does."""


def test_whose_code_a_model_runs():
    def own(model):
        return has_own_code(model, find_places(model, None))

    x = keras.Input((4, 3), name="x")
    dense = layers.Dense(2, activation="relu")
    assert not own(keras.Model(x, layers.LSTM(2)(dense(x))))
    assert own(keras.Model(x, layers.Dense(2, activation=lambda value: value * 2)(x)))
    assert own(keras.Model(x, layers.Lambda(lambda value: value * 2)(x)))
    assert own(keras.Model(x, layers.RNN(OwnCell(2))(x)))


def test_from_python(tmp_path):
    with open_model(CLEAN["siamese"].build(tmp_path), in_process=True) as model:
        assert model.prove().proven


class Both(layers.Layer):
    """Runs one layer for every sample in turn, in a loop of its own, and another as it is; keeps what it saw."""

    def __init__(self, **more):
        super().__init__(**more)
        self.looped, self.plain = layers.Dense(3, name="looped"), layers.Dense(3, name="plain")
        self.seen = None

    def build(self, shape):
        self.looped.build(shape)
        self.plain.build(shape)

    def call(self, x):
        self.seen = keras.ops.relu(x)
        return keras.ops.map(lambda row: self.looped(row[None])[0], x) + self.plain(x) + self.looped(x)


@pytest.fixture(scope="module")
def both():
    x = keras.Input((3,), name="x")
    model = keras.Model(x, layers.Dense(2, name="head")(Both(name="both")(x)))
    with keras_session(model) as session:
        yield model, session, session.graph()


@contextmanager
def keras_session(model):
    session = archive.adopt(model)
    try:
        yield session
    finally:
        session.close()


def test_every_tap_of_a_pass_is_a_value_of_the_graph_but_those_of_loops(both):
    _, session, graph = both
    batch = {"x": np.ones((5, 3), np.float32)}
    found = {}
    tapped = Taps(tuple(layer.path for layer in session.layers if not layer.untappable))
    session.capture(batch, tapped, lambda layer, call, port, value: found.setdefault((layer, call, port), value.shape))
    assert {layer for layer, _, _ in found} == {"x", "both", "both/looped", "both/plain", "head"}
    assert ("both/looped", 5, "out0") in found  # after five rounds, which the graph does not count
    assert set(graph.taps) == {tap for tap in found if tap[0] != "both/looped"}
    assert all(len(graph.values[name].shape) == len(found[tap]) for tap, name in graph.taps.items())
    assert prove(graph).proven


def test_what_tracing_leaves_in_a_layer_is_put_back(both):
    model, session, _ = both
    inner = model.get_layer("both")
    before = inner.seen
    session.graph()
    assert inner.seen is before


def test_a_live_model_is_proven_as_its_file_is(both):
    model, _, graph = both
    with open_model(model, in_process=True) as live:
        proof = live.prove()
        with pytest.raises(BatchError, match="without data"):
            live.prove(np.ones((5, 3), np.float32))
    assert proof.proven
    assert proof.operators == len(graph.operators)


def test_short_constants_that_a_trace_captures():
    x = keras.Input((3,), name="x")
    scaled = layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 1.0, 4.0])(x)
    with keras_session(keras.Model(x, scaled)) as session:
        assert prove(session.graph()).proven


@pytest.mark.parametrize(
    ("add", "proven"),
    [
        (lambda features, column: features + column, False),
        (lambda features, column: column + features, True),
        (lambda features, column: features - column, True),
        (lambda features, column: features + column[:, 0], True),
        (lambda features, column: features[:, :1] + column, True),
    ],
    ids=["features + column", "column + features", "difference", "row", "as wide"],
)
def test_where_keras_takes_a_column_for_a_bias(add, proven):
    """With as many samples as features, ``keras.ops.add`` adds what is each sample's to the features of all."""
    x = keras.Input((4,), name="x")
    model = keras.Model(x, layers.Dense(2)(add(layers.Dense(4)(x), layers.Dense(1)(x))))
    refused = nullcontext() if proven else pytest.raises(ModelLoadError, match="at 4 samples Keras takes numbers of")
    with keras_session(model) as session, refused:
        session.graph()
