"""Models that only Keras 2 runs, in training mode."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import layers
from zoo.keras import KERAS_WARNS

from kmr_cli.check.training import check_session
from kmr_cli.formats.interface import OpenOptions, Taps, training_mode
from kmr_cli.formats.keras import hdf5 as keras_h5
from kmr_cli.formats.keras.run.tf_keras_model import Keras2

pytestmark = [
    pytest.mark.filterwarnings(line)
    for line in (*KERAS_WARNS, "ignore:You are saving your model as an HDF5 file:UserWarning")
]
X = np.random.default_rng(0).standard_normal((6, 8)).astype("float32")


def saved(path, *, leak=None, seed=None):
    tf_keras.utils.set_random_seed(3)
    x = tf_keras.Input((8,), name="x")
    y = layers.Dense(8, name="dense")(x)
    y = layers.BatchNormalization(name="norm")(y)
    y = layers.Dropout(0.4, seed=seed, name="drop")(y)
    if leak is not None:
        y = layers.Softmax(axis=leak, name="leak")(y)
    y = tf.math.abs(y)  # an operation that Keras 3 cannot load
    tf_keras.Model(x, layers.Dense(3, name="head")(y)).save(path)
    return path


@pytest.mark.parametrize(("leak", "seed"), [(None, None), (0, 5)], ids=["clean", "leak and seeded dropout"])
def test_what_training_mode_mixes(tmp_path, leak, seed):
    path, options = saved(tmp_path / "model.h5", leak=leak, seed=seed), OpenOptions(training=True)
    session = keras_h5.open(path, options)
    info = keras_h5.describe(path, options)
    report = check_session(session, info, {"x": X})
    assert isinstance(session._framework, Keras2)
    errors = {(f.rule, f.layer, f.by_design) for f in report.findings if f.severity == "error"}
    expected = {("KMR101", "norm", True)} | ({("KMR101", "leak", False)} if leak == 0 else set())
    assert errors == expected, report.findings
    assert report.verdict == ("pass" if leak is None else "fail"), report.inconclusive


def test_the_model_is_left_as_it_was_and_held_layers_infer(tmp_path):
    path = saved(tmp_path / "model.h5", seed=5)
    session = keras_h5.open(path, OpenOptions(training=True))
    inferring = keras_h5.open(path, OpenOptions())

    def at(one, layer):
        found = {}
        one.capture({"x": X}, Taps((layer,)), lambda *tap: found.update({tap[2]: np.array(tap[3])}))
        return found["out0"].tobytes()

    trained = at(session, "norm")
    model = session._whole.model
    before = [variable.numpy() for variable in model.variables]
    assert at(session, "norm") == trained != at(inferring, "norm")
    drop = at(session, "drop")
    assert at(session, "drop") == drop
    assert all(np.array_equal(value, now.numpy()) for value, now in zip(before, model.variables, strict=True))
    mode = training_mode(session)
    assert mode.normalizers == ("norm",)
    mode.held = True
    assert at(session, "norm") == at(inferring, "norm")
    assert at(session, "drop") != at(inferring, "drop")
    mode.held, mode.noise = False, 1
    assert at(session, "norm") == trained
    assert at(session, "drop") != drop
    assert "call" not in vars(model.get_layer("norm"))
