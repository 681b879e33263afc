"""The same as test_state.py for what TensorFlow runs: Keras 3, Keras 2 and SavedModels."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")
import tensorflow as tf  # noqa: E402
from keras import layers, ops  # noqa: E402

from kmr_cli.check.check import check  # noqa: E402
from kmr_cli.formats import conformance, load_format  # noqa: E402
from kmr_cli.formats.interface import OpenOptions  # noqa: E402
from kmr_cli.formats.live import describe_live  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
BATCH = {"x": np.random.default_rng(3).standard_normal((5, 4)).astype(np.float32)}
OPTIONS = OpenOptions()
BY_DATA, BY_CALLS = ("KMR302", "error"), ("KMR302", "warning")


class Running(layers.Layer):
    """A running mean, in a weight that nobody said is not trained."""

    def build(self, shape):
        self.mean = self.add_weight(shape=shape[1:], initializer="zeros", name="mean")

    def call(self, x):
        self.mean.assign(0.9 * self.mean + 0.1 * x[0])
        return x - self.mean


class Bank(layers.Layer):
    """A list of what came before, and a number."""

    def __init__(self, **options):
        super().__init__(**options)
        self.bank, self.calls = [], 0

    def call(self, x):
        if not isinstance(x, tf.Tensor) or not tf.executing_eagerly():
            return x
        self.calls += 1
        before = self.bank[-1] if self.bank else tf.zeros_like(x[0])
        self.bank.append(x[0])
        return x - before


class Count(layers.Layer):
    def build(self, shape):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")

    def call(self, x):
        self.calls.assign_add(1.0)
        return x * self.calls


class Unread(layers.Layer):
    def build(self, shape):
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, name="seen")

    def call(self, x):
        self.seen.assign_add(ops.sum(x))
        return x + 1.0


def around(kept):
    x = keras.Input((4,), name="x")
    hidden = layers.Dense(4, name="before")(x)
    return keras.Model(x, layers.Dense(3, name="after")(kept(hidden)))


def findings(session, info, batch=None):
    report = check(session, info, batch or BATCH)
    return report.verdict, {(one.rule, one.severity) for one in report.findings if one.severity != "note"}


def held(example):
    with conformance.opened(example) as found:
        for _, rule in conformance.cases([example]):
            if rule.name in ("a_start_is_put_back", "what_a_pass_leaves_is_told"):
                rule(found)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Running, ("fail", {BY_DATA, ("KMR101", "error")})),
        (Bank, ("fail", {BY_DATA})),
        (Count, ("inconclusive", {BY_CALLS})),
        (Unread, ("pass", set())),
    ],
)
def test_a_keras_model(kind, expected):
    form = load_format("keras")
    model = around(kind(name="kept"))
    session = form.adopt(model)
    before = [np.array(value) for value in model.get_weights()]
    assert findings(session, describe_live(form, session)) == expected
    assert all(np.array_equal(one, two) for one, two in zip(before, model.get_weights(), strict=True))
    held(conformance.Example("m", form, None, BATCH, live=model))


def recurrent(library):
    x = library.Input(batch_shape=(3, 2, 4), name="x")
    hidden = library.layers.LSTM(5, stateful=True, name="lstm")(x)
    return library.Model(x, library.layers.Dense(2, name="out")(hidden))


@pytest.mark.parametrize("version", [3, 2])
def test_recurrent_states(version, tmp_path):
    library = keras if version == 3 else pytest.importorskip("tf_keras")
    form = load_format("keras" if version == 3 else "h5")
    path = tmp_path / ("m.keras" if version == 3 else "m.h5")
    recurrent(library).save(path)
    batch = {"x": np.random.default_rng(1).standard_normal((3, 2, 4)).astype(np.float32)}
    session = form.open(path, OPTIONS)
    verdict, found = findings(session, form.describe(path, OPTIONS), batch)
    assert (verdict, found) == ("fail", {BY_DATA})
    held(conformance.Example("m", form, path, batch))


def saved(path, step):
    module = tf.Module()
    module.kept = tf.Variable(tf.zeros((4,)), name="kept")
    module.w = tf.Variable(np.random.default_rng(0).standard_normal((4, 4)), dtype=tf.float32, name="w")

    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, "x")])
    def serve(x):
        with tf.name_scope("before"):
            x = tf.matmul(x, module.w)
        with tf.name_scope("kept"):
            x = step(module.kept, x)
        with tf.name_scope("after"):
            return {"y": tf.tanh(x)}

    module.serve = serve
    tf.saved_model.save(module, str(path), signatures={"serving_default": serve})
    return path


def running(kept, x):
    kept.assign(0.9 * kept + 0.1 * x[0])
    return x - kept


def previous(kept, x):
    before = tf.identity(kept)
    with tf.control_dependencies([before]):
        kept.assign(x[0])
    return x - before


def counted(kept, x):
    kept.assign_add(tf.ones((4,)))
    return x * kept


def unread(kept, x):
    kept.assign_add(x[0])
    return x + 1.0


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (running, ("fail", {BY_DATA, ("KMR101", "error")})),
        (previous, ("fail", {BY_DATA})),
        (counted, ("inconclusive", {BY_CALLS})),
        (unread, ("pass", set())),
    ],
    ids=lambda part: getattr(part, "__name__", "found"),
)
def test_a_savedmodel(step, expected, tmp_path):
    form = load_format("savedmodel")
    path = saved(tmp_path / "m", step)
    session = form.open(path, OPTIONS)
    assert findings(session, form.describe(path, OPTIONS)) == expected
    held(conformance.Example("m", form, path, BATCH))
