"""Calls that store ``training=True``: the model does what ``model(x)`` and its export do, on both roads."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from zoo.keras import KERAS_WARNS

from kmr_cli.batch.hints import hints
from kmr_cli.check.training import check_session
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions, Taps
from kmr_cli.formats.keras.describe.modes import overruled_mode
from kmr_cli.formats.keras.run.adopt import adopt_model
from kmr_cli.formats.keras.run.capture import Keras3
from kmr_cli.formats.keras.run.tf_keras_model import Keras2

pytestmark = [
    pytest.mark.filterwarnings(line)
    for line in (*KERAS_WARNS, "ignore:You are saving your model as an HDF5 file:UserWarning")
]
X = np.random.default_rng(0).standard_normal((6, 3, 4)).astype("float32")


def normalized(k, name="norm", **mode):
    """A model around one layer that normalises over the batch."""
    x = k.Input((4,), name="row")
    return k.Model(x, k.layers.BatchNormalization(name=name)(x, **mode), name="inner")


def plain(k, x):
    return k.layers.BatchNormalization(name="norm")(x, training=True)


def truthy(k, x):
    return k.layers.BatchNormalization(name="norm")(x, training=1)


def nested(k, x):
    flat = k.layers.Flatten(name="flat")(x)
    return normalized(k)(k.layers.Dense(4, name="fc")(flat), training=True)


def inside(k, x):
    flat = k.layers.Flatten(name="flat")(x)
    return normalized(k, training=True)(k.layers.Dense(4, name="fc")(flat))


def wrapper(k, x):
    return k.layers.TimeDistributed(k.layers.BatchNormalization(), name="steps")(x, training=True)


def wrapped(k, x):
    return k.layers.TimeDistributed(normalized(k, training=True), name="steps")(x)


def saved(k, build, path):
    k.utils.set_random_seed(3)
    x = k.Input((3, 4), name="x")
    model = k.Model(x, k.layers.Dense(2, name="head")(k.layers.Flatten(name="last")(build(k, x))))
    for variable in model.non_trainable_variables:
        if "mean" in variable.name:
            variable.assign(np.full(variable.shape, 0.7))
    model.save(path)
    return model


def opened(path):
    found, options = detect(path), OpenOptions()
    return found.open(path, options), found.describe(path, options)


def outputs(session, x=X):
    return next(iter(session.capture({"x": x}, Taps(()), None).values()))


BUILDS = {
    "plain": (plain, "norm"),
    "truthy": (truthy, "norm"),
    "nested": (nested, "inner"),
    "inside": (inside, "inner/norm"),
    "wrapper": (wrapper, "steps"),
    "wrapped": (wrapped, "steps/layer/norm"),
}
ROADS = {"keras.keras": keras, "keras.h5": keras, "keras2.h5": tf_keras, "keras2.keras": tf_keras}


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("name", BUILDS)
def test_a_stored_argument_counts_as_in_a_call_and_in_an_export(tmp_path, name, road):
    build, trains = BUILDS[name]
    model = saved(ROADS[road], build, tmp_path / road)
    session, info = opened(tmp_path / road)
    assert info.trains == (trains,)
    (note,) = hints(info, {"x": X}, ())
    assert repr(trains) in note
    assert "here too" in note
    before = outputs(session)
    np.testing.assert_allclose(before, np.asarray(model(X)), rtol=2e-5, atol=1e-5)
    assert outputs(session).tobytes() == before.tobytes()  # moving statistics are as they were
    assert np.abs(outputs(session, np.concatenate([X[:1], 3 * X[1:]]))[0] - before[0]).max() > 0.01
    if road == "keras.keras":
        model.export(str(tmp_path / "served"), verbose=False)
        served = tf.saved_model.load(str(tmp_path / "served"))
        np.testing.assert_allclose(before, np.asarray(served.serve(X)), rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("road", "build", "layer"),
    [
        ("keras.keras", plain, "norm"),
        ("keras.keras", wrapped, "steps/layer/norm"),
        ("keras2.h5", inside, "inner/norm"),
        ("keras2.keras", plain, "norm"),
    ],
)
def test_the_layer_that_mixes_is_named_and_predict_is_looked_at(tmp_path, road, build, layer):
    model = saved(ROADS[road], build, tmp_path / road)
    session, info = opened(tmp_path / road)
    report = check_session(session, info, {"x": X})
    assert report.verdict == "fail"
    leaks = [finding for finding in report.findings if finding.rule == "KMR101"]
    assert leaks
    assert all(layer.startswith(finding.layer) for finding in leaks)
    others = np.concatenate([X[:1], 3 * X[1:]])
    moved = np.abs(model.predict(others, verbose=0)[0] - model.predict(X, verbose=0)[0]).max()
    if ROADS[road] is keras:  # its predict overrules what is stored
        assert moved < 1e-6
        assert session.ways == ("model(x)", "predict")
        assert all(finding.message.endswith("by model(x), and not by predict") for finding in leaks)
    else:
        assert moved > 0.01
        assert all("not by predict" not in finding.message.replace("predict of Keras 3", "") for finding in leaks)
    assert session.ways == () or session.way == "model(x)"


@pytest.mark.parametrize("road", ["keras.keras", "keras2.h5", "keras2.keras"])
def test_dropout_that_is_always_on_is_random(tmp_path, road):
    def build(k, x):
        return k.layers.Dropout(0.5, name="always_on")(x, training=True)

    saved(ROADS[road], build, tmp_path / road)
    session, info = opened(tmp_path / road)
    assert outputs(session).tobytes() != outputs(session).tobytes()
    report = check_session(session, info, {"x": X}, reopen=lambda: opened(tmp_path / road)[0])
    assert report.verdict != "pass"
    assert ("KMR301", "always_on") in [(finding.rule, finding.layer) for finding in report.findings]


def test_a_part_of_the_model_agrees_with_the_whole(tmp_path):
    saved(keras, plain, tmp_path / "m.keras")
    values = []
    for stop in (True, False):
        session, _ = opened(tmp_path / "m.keras")
        found = {}
        session.capture(
            {"x": X}, Taps(("norm",)), lambda *tap, to=found: to.update({tap[2]: np.array(tap[3])}), stop=stop
        )
        assert (session._whole is None) == stop
        values.append(found["out0"])
    assert values[0].tobytes() == values[1].tobytes()
    assert np.abs(values[0].mean((0, 1))).max() < 1e-5  # by the statistics of this batch


def test_a_live_model_is_left_as_it_was(tmp_path):
    model = saved(keras, plain, tmp_path / "m.keras")
    before = [np.array(variable) for variable in model.variables]
    session = adopt_model(model)
    outputs(session)
    assert session._info.trains == ("norm",)
    assert all(np.array_equal(was, np.array(now)) for was, now in zip(before, model.variables, strict=True))


@keras.saving.register_keras_serializable("stored")
class Trains(keras.layers.Layer):
    """In training mode unless somebody says otherwise."""

    def __init__(self, **more):
        super().__init__(**more)
        self.norm = keras.layers.BatchNormalization()

    def call(self, x, training=True):
        return self.norm(x, training=training)


def test_a_layer_that_trains_by_default(tmp_path):
    saved(keras, lambda k, x: Trains(name="own")(x), tmp_path / "m.keras")
    session, info = opened(tmp_path / "m.keras")
    report = check_session(session, info, {"x": X})
    assert report.verdict == "fail"
    assert any(one.layer == "own/norm" and "not by predict" in one.message for one in report.findings)


def test_a_model_that_stores_nothing_is_run_one_way(tmp_path):
    saved(keras, lambda k, x: k.layers.BatchNormalization(name="norm")(x, training=False), tmp_path / "m.keras")
    session, info = opened(tmp_path / "m.keras")
    assert check_session(session, info, {"x": X}).verdict == "pass"
    assert (info.trains, session.ways) == ((), ())


@pytest.mark.parametrize(("inner", "outer"), [(True, False), (False, True)])
def test_where_the_two_versions_disagree_keras_2_runs_its_own_file(tmp_path, inner, outer):
    def build(k, x):
        flat = k.layers.Flatten(name="flat")(x)
        return normalized(k, training=inner)(k.layers.Dense(4, name="fc")(flat), training=outer)

    model = saved(tf_keras, build, tmp_path / "m.h5")
    session, _ = opened(tmp_path / "m.h5")
    np.testing.assert_allclose(outputs(session), model(X).numpy(), rtol=2e-5, atol=1e-5)
    assert isinstance(session._framework, Keras2)
    saved(tf_keras, plain, tmp_path / "same.h5")
    session, _ = opened(tmp_path / "same.h5")
    outputs(session)
    assert isinstance(session._framework, Keras3)


def test_a_mode_that_is_overruled_is_found_at_any_depth():
    def model(*layers):
        return {"class_name": "Functional", "config": {"layers": list(layers)}}

    def call(name, inside=None, **arguments):
        return {"name": name, "inbound_nodes": [[["x", 0, 0, arguments]]], **(inside or {"config": {}})}

    deep = model(call("a", model(call("b", model(call("c", training=True))))))
    assert overruled_mode(deep) is None
    deep = model(call("a", model(call("b", model(call("c", training=True)))), training=False))
    assert overruled_mode(deep) == "a/b/c"
    steps = model(call("t", {"config": {"layer": model(call("c", training=False))}}, training=True))
    assert overruled_mode(steps) == "t/layer/c"
