"""Legacy .h5 files of Keras 2 and 3, and archives that tf_keras wrote."""

import os
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest
from zoo import keras as zoo
from zoo import keras2

from kmr_cli.errors import MissingFrameworkError, ModelFileError
from kmr_cli.formats.common import frameworks
from kmr_cli.formats.interface import OpenOptions, Taps
from kmr_cli.formats.keras import archive as keras_archive
from kmr_cli.formats.keras import hdf5 as keras_h5
from kmr_cli.formats.keras.describe import legacy_weights
from kmr_cli.formats.keras.describe.config import parse_layer
from kmr_cli.formats.keras.describe.shapes import output_shapes
from kmr_cli.formats.keras.run.capture import Keras3

pytestmark = [
    pytest.mark.filterwarnings(line)
    for line in (*zoo.KERAS_WARNS, "ignore:You are saving your model as an HDF5 file:UserWarning")
]
OPTIONS = OpenOptions()
ULP = {"rtol": 2e-6, "atol": 1e-6}
"""Between the kernels of Keras 2 and 3: normalization is fused in one and not in the other."""


def run(module, path, *layers, **options):
    info = module.describe(path, OPTIONS)
    session = module.open(path, OPTIONS)
    batch = zoo.batch_for(info.inputs)
    paths = layers or tuple(layer.path for layer in session.layers if not layer.untappable)
    values = {}
    outputs = session.capture(batch, Taps(paths), lambda *tap: values.update({tap[:3]: np.array(tap[3])}), **options)
    return info, session, batch, values, outputs


@pytest.fixture(scope="session", params=sorted(keras2.MODELS))
def name(request):
    return request.param


@pytest.mark.slow
def test_keras_2_files_compute_what_tf_keras_computes(name, tmp_path):
    path = keras2.saved(name, tmp_path)
    info, session, batch, values, outputs = run(keras_h5, path)
    bare, model = keras2.run_bare(path, batch)
    assert isinstance(session._framework, Keras3) == (name in keras2.BY_KERAS3)
    assert len(outputs) == len(bare)
    for ours, theirs in zip(outputs.values(), bare, strict=True):
        if name in keras2.BY_KERAS3:
            np.testing.assert_allclose(ours, theirs, **ULP)
        else:
            assert ours.tobytes() == theirs.tobytes()
    assert info.parameters == model.count_params()
    assert info.writer.startswith("Keras 2.")
    for layer in info.layers:
        if "/" not in layer.path:
            assert layer.parameters == model.get_layer(layer.path).count_params() if "input" not in layer.path else True
        for spec in (*layer.inputs, *layer.outputs):
            value = values.get((layer.path, 0, spec.name))
            if value is not None and spec.shape is not None:
                assert all(told in (None, real) for told, real in zip(spec.shape, value.shape, strict=True))
        ran = {call for path, call, _ in values if path == layer.path}
        if layer.calls is not None and not layer.untappable:
            assert ran == set(range(layer.calls)), layer.path
    assert {layer.path for layer in info.layers} <= {layer.path for layer in session.layers}


def test_tapped_values_equal_tf_keras_own(tmp_path):
    import tf_keras

    path = keras2.saved("attention", tmp_path)
    _, session, batch, values, _ = run(keras_h5, path)
    model = tf_keras.models.load_model(path, compile=False)
    for layer in ("attention", "norm", "steps", "pool"):
        wanted = tf_keras.Model(model.input, model.get_layer(layer).output)(batch["x"], training=False).numpy()
        assert values[layer, 0, "out0"].tobytes() == wanted.tobytes()
    assert values["x", 0, "out0"].tobytes() == batch["x"].tobytes()
    loaded = session._whole.model
    assert all("call" not in vars(layer) for layer in loaded.layers)
    assert "_run_internal_graph" not in vars(loaded)


def test_stopping_a_keras_2_model(tmp_path):
    path = keras2.saved("operations", tmp_path)
    _, _, _, values, outputs = run(keras_h5, path, "dense", stop=True)
    assert outputs is None
    assert set(values) == {("dense", 0, "in0"), ("dense", 0, "out0")}


@pytest.mark.slow
def test_archives_of_tf_keras(name, tmp_path):
    path = keras2.saved(name, tmp_path, ".keras")
    info, _, batch, values, outputs = run(keras_archive, path)
    bare, model = keras2.run_bare(path, batch)
    assert [y.tobytes() for y in outputs.values()] == [y.tobytes() for y in bare]
    assert info.parameters == model.count_params()
    assert info.writer.startswith("Keras 2.")
    listed = {layer.path for layer in info.layers if not layer.untappable and layer.calls is not None}
    assert listed <= {layer for layer, _, _ in values}


OLD_MODULE = """
import tensorflow as tf
from tensorflow import keras

@keras.utils.register_keras_serializable("old")
def twice(x):
    return 2 * tf.nn.relu(x)

def save(path):
    x = keras.Input((3,))
    keras.Model(x, keras.layers.Dense(2, activation=twice, name="d")(x)).save(path)
"""


@pytest.mark.slow
def test_modules_of_the_time_of_keras_2_get_keras_2(tmp_path):
    (tmp_path / "old_module.py").write_text(OLD_MODULE)
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}

    def run(*arguments, **more):  # a process of its own: what tf.keras is, is settled once
        return subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment | more, capture_output=True, text=True
        )  # fmt: skip

    saved = run("-c", "import old_module; old_module.save('m.keras')", TF_USE_LEGACY_KERAS="1")
    assert saved.returncode == 0, saved.stderr
    loaded = run("-m", "kmr_cli", "check-batch-axis", "m.keras", "--import", "old_module", "--proof-only")
    assert loaded.returncode == 0, loaded.stderr
    assert "pass: proven" in loaded.stdout


def test_an_archive_of_keras_2_runs_where_keras_3_was_never_imported(tmp_path):
    keras2.MODELS["branches"]().save(tmp_path / "m.keras")
    command = [sys.executable, "-m", "kmr_cli", "sample", "m.keras", "-l", "minus", "-i", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "verified, separated on axis 0" in done.stdout


@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_files_of_keras_3(kind, tmp_path):
    if kind == "functional":
        a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
        entry = keras.Input((4,), name="entry")
        nested = keras.Model(entry, keras.layers.Dense(4, name="deep")(entry), name="nested")
        joined = keras.layers.Concatenate(name="join")([nested(a), nested(b)])
        keras.Model([a, b], keras.layers.Dense(2, name="head")(joined)).save(tmp_path / "m.h5")
    else:
        zoo.sequential().save(tmp_path / "m.h5")
    info, session, batch, values, outputs = run(keras_h5, tmp_path / "m.h5")
    model = keras.saving.load_model(tmp_path / "m.h5", compile=False)
    bare = zoo.run_bare(model, batch)
    assert [y.tobytes() for y in outputs.values()] == [y.tobytes() for y in bare]
    assert info.parameters == model.count_params()
    assert {layer.path for layer in info.layers} == {layer.path for layer in session.layers}
    assert {layer for layer, _, _ in values} == {layer.path for layer in info.layers}


def test_without_tf_keras_the_extra_is_named(tmp_path, monkeypatch):
    path = keras2.saved("hard_sigmoid", tmp_path)
    monkeypatch.setattr(frameworks, "installed", lambda module: False)
    with pytest.raises(MissingFrameworkError) as caught:
        run(keras_h5, path)
    assert "hard_sigmoid" in caught.value.message
    assert caught.value.hint == "pip install 'kmr-inspect[keras2]'"


def test_without_tf_keras_its_archives_name_the_extra(tmp_path, monkeypatch):
    path = keras2.saved("cnn", tmp_path, ".keras")
    monkeypatch.delitem(sys.modules, "tf_keras")

    def missing(module):
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr(frameworks.importlib, "import_module", missing)
    with pytest.raises(MissingFrameworkError) as caught:
        keras_archive.open(path, OPTIONS)
    assert caught.value.hint == "pip install 'kmr-inspect[keras2]'"


# -- files that are not what they should be -----------------------------------------------------------------------


def fails(path, message):
    with pytest.raises(ModelFileError) as caught:
        keras_h5.describe(path, OPTIONS)
    assert message in caught.value.message
    assert caught.value.hint


def test_weights_only(tmp_path):
    model = zoo.sequential()
    model.save_weights(tmp_path / "m.weights.h5")
    assert keras_h5.matches(tmp_path / "m.weights.h5")
    fails(tmp_path / "m.weights.h5", "weights only")
    import tf_keras

    tf_keras.Sequential([tf_keras.layers.Dense(2, input_shape=(3,))]).save_weights(tmp_path / "old.h5")
    assert keras_h5.matches(tmp_path / "old.h5")
    fails(tmp_path / "old.h5", "weights only")


def test_other_hdf5_cut_and_mislabelled(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["table"] = np.arange(5)
    assert not keras_h5.matches(tmp_path / "data.h5")
    fails(tmp_path / "data.h5", "without a Keras model")
    zoo.sequential().save(tmp_path / "m.h5")
    whole = (tmp_path / "m.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    assert keras_h5.matches(tmp_path / "cut.h5")
    fails(tmp_path / "cut.h5", "damaged or cut short")
    (tmp_path / "zip.h5").write_bytes(b"PK\x03\x04" + whole)
    assert not keras_h5.matches(tmp_path / "zip.h5")
    fails(tmp_path / "zip.h5", "damaged or cut short")
    (tmp_path / "empty.h5").touch()
    assert not keras_h5.matches(tmp_path / "empty.h5")
    fails(tmp_path / "empty.h5", "damaged or cut short")


def test_a_link_to_another_file_is_not_followed(tmp_path):
    """HDF5 opens whatever an external link names, and waits for ever on a FIFO."""
    os.mkfifo(tmp_path / "fifo")
    for number, place in enumerate(("model_weights", "model_weights/dense")):
        path = tmp_path / f"m{number}.h5"
        zoo.sequential().save(path)
        with h5py.File(path, "r+") as file:
            place = next(name for name in (place, f"model_weights/{next(iter(file['model_weights']))}") if name in file)
            del file[place]
            file[place] = h5py.ExternalLink(str(tmp_path / "fifo"), "/x")
        fails(path, "is a link to another place")


def test_an_attribute_that_claims_too_many_names(tmp_path, monkeypatch):
    """HDF5 makes room for as many as a damaged file claims: 1.4 GB in a file of 68 kB."""
    monkeypatch.setattr(legacy_weights, "MAX_NAMES", 1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    model.save(tmp_path / "m.h5")
    fails(tmp_path / "m.h5", "layer_names claims more than 1 entries")


# -- shapes by rule ----------------------------------------------------------------------------------------------

CASES = [
    (keras.layers.Conv1D(3, 2, strides=2, dilation_rate=1, padding="causal"), (None, 9, 2)),
    (keras.layers.Conv2D(3, (3, 2), dilation_rate=2), (None, 9, 8, 2)),
    (keras.layers.Conv2D(3, 3, strides=2, padding="same"), (None, 9, None, 2)),
    (keras.layers.DepthwiseConv2D(2, depth_multiplier=3), (None, 5, 5, 2)),
    (keras.layers.SeparableConv2D(4, 2), (None, 5, 5, 2)),
    (keras.layers.AveragePooling2D((2, 3), strides=1), (None, 7, 7, 2)),
    (keras.layers.MaxPooling1D(3, padding="same"), (None, 7, 2)),
    (keras.layers.GlobalMaxPooling2D(keepdims=True), (None, 7, 7, 2)),
    (keras.layers.ZeroPadding2D(((1, 2), (3, 0))), (None, 4, 5, 2)),
    (keras.layers.Cropping1D((1, 2)), (None, 9, 2)),
    (keras.layers.UpSampling2D((2, 3)), (None, 4, 5, 2)),
    (keras.layers.Reshape((-1, 4)), (None, 6, 2)),
    (keras.layers.Permute((2, 1)), (None, 6, 2)),
    (keras.layers.RepeatVector(3), (None, 6)),
    (keras.layers.LSTM(3, return_sequences=True, return_state=True), (None, 6, 2)),
    (keras.layers.GRU(3, return_state=True), (None, 6, 2)),
    (keras.layers.Bidirectional(keras.layers.LSTM(3), merge_mode="sum"), (None, 6, 2)),
    (keras.layers.TimeDistributed(keras.layers.Dense(3)), (None, 6, 2)),
    (keras.layers.Embedding(9, 3), (None, 6)),
]


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=[type(layer).__name__ for layer, _ in CASES])
def test_shapes_by_rule_are_those_of_keras(layer, shape):
    outputs = layer(keras.KerasTensor(shape))
    config = parse_layer(keras.saving.serialize_keras_object(layer))
    assert output_shapes(config, [shape]) == [tuple(y.shape) for y in keras.tree.flatten(outputs)]


@pytest.mark.parametrize("kind", [keras.layers.Add, keras.layers.Concatenate])
def test_shapes_of_merges_are_those_of_keras(kind):
    shapes = [(None, 3, 4), (None, 3, 4)]
    outputs = kind()([keras.KerasTensor(shape) for shape in shapes])
    assert output_shapes(parse_layer(keras.saving.serialize_keras_object(kind())), shapes) == [tuple(outputs.shape)]
