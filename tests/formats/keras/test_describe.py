"""What a .keras file tells without Keras, compared with the model that Keras loads."""

import json
import struct
import subprocess
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
from zoo import keras as zoo

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.formats.keras.archive import describe, matches
from kmr_cli.formats.keras.describe import names, parts
from kmr_cli.formats.keras.describe.weights import read_weight_groups
from kmr_cli.formats.keras.run.paths import find_places

pytestmark = [pytest.mark.filterwarnings(line) for line in zoo.KERAS_WARNS]
OPTIONS = OpenOptions()
ALL = sorted(zoo.MODELS)


@pytest.fixture(scope="session", params=ALL)
def archive(request, tmp_path_factory):
    return zoo.saved(request.param, tmp_path_factory.mktemp("archives"))


def layers_of(path):
    return {layer.path: layer for layer in describe(path, OPTIONS).layers}


def test_counts_and_paths_are_those_of_the_loaded_model(archive):
    info = describe(archive, OPTIONS)
    model = keras.saving.load_model(archive)
    assert info.parameters == model.count_params()
    places = find_places(model, None if archive.stem == "subclassed" else _config(archive))
    live = {place.path: place for place in places.places}
    if archive.stem == "subclassed":  # see test_a_subclassed_model
        assert {layer.path for layer in info.layers} < set(live)
    else:
        assert {layer.path for layer in info.layers} == set(live)
    for layer in info.layers:
        found = live[layer.path].layer
        if isinstance(found, keras.Layer) and found.built:
            assert layer.parameters == found.count_params(), layer.path
        if layer.type != "Layer":  # a sub-layer with a name of its own: the file does not declare its class
            assert layer.type == type(found).__name__
        assert layer.untappable == live[layer.path].untappable


def _config(path):
    from kmr_cli.formats.keras.describe.config import parse_layer

    with zipfile.ZipFile(path) as file:
        return parse_layer(json.loads(file.read("config.json")))


def test_paths_inside_custom_layers_are_attributes_and_positions(tmp_path):
    layers = layers_of(zoo.saved("functional", tmp_path))
    inside = {path: layer for path, layer in layers.items() if path.startswith("block/")}
    assert {path: layer.type for path, layer in inside.items()} == {
        "block/d1": "Layer",
        "block/d2": "Layer",
        "block/inner": "Sequential",
        "block/inner/0": "Dense",
        "block/inner/1": "Dropout",
        "block/stack/0": "Dense",
        "block/stack/1": "Dropout",
        "block/stack/2": "Dense",
        "block/table/0": "ReLU",
        "block/table/1": "Dense",
    }
    assert (inside["block/d1"].parameters, inside["block/d2"].parameters) == (15, 16)
    assert layers["block"].parameters == 15 + 16 + 20 * 4 + 4


def test_a_subclassed_model(tmp_path):
    info = describe(zoo.saved("subclassed", tmp_path), OPTIONS)
    assert [layer.path for layer in info.layers] == ["first"]
    assert info.opaque == ("",)
    assert info.notes == ("the model holds layers whose attributes the file does not name: 1 Block, 1 Dense",)
    assert [(spec.name, spec.shape) for spec in info.inputs] == [("inputs", (None, 5))]


def test_shared_nested_and_operations(tmp_path):
    info = describe(zoo.saved("functional", tmp_path), OPTIONS)
    layers = {layer.path: layer for layer in info.layers}
    assert layers["shared"].calls == 2
    assert layers["nested/deep"].calls == 2
    assert layers["mean"].type == "Mean"
    assert [spec.shape for spec in layers["mean"].inputs + layers["mean"].outputs] == [(None, 6, 5), (None, 5)]
    assert layers["head"].outputs[0].shape == (None, 2)
    assert [spec.dtype for spec in layers["read"].inputs] == ["float32", "bool"]
    assert [(spec.name, spec.shape) for spec in info.outputs] == [("read", (None, 3)), ("score", (None, 2))]
    assert info.opaque == ("block", "nameless")
    assert "once per time step" in layers["read/cell"].untappable
    assert info.writer == f"Keras {keras.__version__}"


def test_limit_of_integers_is_the_smallest_table_they_reach(tmp_path):
    (ids,) = describe(zoo.saved("nested_embedding", tmp_path), OPTIONS).inputs
    assert (ids.name, ids.shape, ids.dtype, ids.limit) == ("ids", (None, 4), "int32", 30)


def test_parameters_of_a_layer_in_two_models_count_once(tmp_path):
    info = describe(zoo.saved("shared_between_models", tmp_path), OPTIONS)
    assert {layer.path: layer.parameters for layer in info.layers if layer.type == "Dense"} == {
        "common": 20,
        "nested/common": 20,
    }
    assert info.parameters == 20


def test_compute_dtype_of_a_mixed_policy(tmp_path):
    layers = layers_of(zoo.saved("mixed_bfloat16", tmp_path))
    assert [layers[name].dtype for name in ("half", "norm", "full")] == ["bfloat16", "bfloat16", "float32"]


def test_a_fixed_batch_is_reported(tmp_path):
    x = keras.Input(batch_shape=(4, 3), name="x")
    keras.Model(x, keras.layers.Dense(2)(x)).save(tmp_path / "m.keras")
    assert describe(tmp_path / "m.keras", OPTIONS).fixed_batch == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("builder", "shape"),
    [("MobileNetV2", (32, 32, 3)), ("EfficientNetB0", (32, 32, 3)), ("DenseNet121", (32, 32, 3))],
)
def test_applications(builder, shape, tmp_path):
    model = getattr(keras.applications, builder)(weights=None, input_shape=shape, classes=7)
    model.save(tmp_path / "m.keras")
    info = describe(tmp_path / "m.keras", OPTIONS)
    assert info.parameters == model.count_params()
    assert [layer.path for layer in info.layers] == [operation.name for operation in model.operations]
    for layer in info.layers:
        assert layer.outputs, layer.path
        assert layer.outputs[0].shape == tuple(model.get_layer(layer.path).output.shape), layer.path


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak from /proc")
def test_no_framework_is_imported_and_little_memory_used(tmp_path):
    keras.Sequential([keras.Input((5000,)), keras.layers.Dense(5000, name="big")]).save(tmp_path / "big.keras")
    assert (tmp_path / "big.keras").stat().st_size > 90e6
    code = r"""
import re, sys
from pathlib import Path
from kmr_cli.formats import OpenOptions
from kmr_cli.formats.keras.archive import describe, matches
assert matches(Path(sys.argv[1]))
assert describe(Path(sys.argv[1]), OpenOptions()).parameters == 25005000
print(sorted({"keras", "tensorflow", "torch", "tf_keras"} & set(sys.modules)))
print(int(re.search(r'VmHWM:\s+(\d+)', Path('/proc/self/status').read_text())[1]) // 1024)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "big.keras")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded, megabytes = done.stdout.split()
    assert loaded == "[]"
    assert int(megabytes) <= 80


def test_names_are_those_of_keras():
    known = {name for name in dir(keras.layers) if isinstance(getattr(keras.layers, name), type)}
    assert set(names.BUILT_IN) - known <= {
        "Functional",
        "Sequential",
        "FlaxLayer",
        "GroupedQueryAttention",
        "ThresholdedReLU",
    } | {name for name in names.BUILT_IN if name.endswith("Cell")}
    from keras.src.utils.naming import to_snake_case

    assert [names.snake_case(name) for name in sorted(known)] == [to_snake_case(name) for name in sorted(known)]


@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN", "MultiHeadAttention", "Bidirectional", "TimeDistributed"])
def test_parts_are_those_of_keras(name):
    x = keras.Input((5, 4))
    if name == "MultiHeadAttention":
        layer = keras.layers.MultiHeadAttention(2, 2)
        layer(x, x)
    else:
        inner = {"Bidirectional": keras.layers.LSTM(2), "TimeDistributed": keras.layers.Dense(2)}.get(name)
        layer = getattr(keras.layers, name)(inner if inner is not None else 2)
        layer(x)
    places = find_places(layer, None).places
    assert [place.path for place in places if "/" not in place.path.strip("/")] == [
        attribute for attribute, _ in parts.PARTS[name]
    ]


def test_order_of_a_container_survives_many_members(tmp_path):
    """The names' heap grows and moves while the file is written; the order of the members must not be lost."""
    with h5py.File(tmp_path / "w.h5", "w") as file:
        expected = [f"{'zyxw'[i % 4]}_layer{'' if i < 4 else f'_{i // 4}'}" for i in range(90)]
        for entry in expected:
            file.create_group(f"stack/{entry}").create_group("vars").attrs["name"] = "any"
    with (tmp_path / "w.h5").open("rb") as file:
        stack = read_weight_groups(file).children["stack"]
    assert stack.ordered
    assert list(stack.children) == expected


# -- files that are not what they should be -----------------------------------------------------------------------


def fails(path, message, hint=None):
    with pytest.raises(ModelFileError) as caught:
        describe(path, OPTIONS)
    assert message in caught.value.message
    assert caught.value.message.startswith(path.name)
    assert "\n" not in caught.value.message
    if hint:
        assert hint in caught.value.hint


def test_empty_file(tmp_path):
    (tmp_path / "m.keras").touch()
    assert not matches(tmp_path / "m.keras")
    fails(tmp_path / "m.keras", "the file is empty")


def test_mislabelled_file(tmp_path):
    (tmp_path / "m.keras").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 100)
    assert not matches(tmp_path / "m.keras")
    fails(tmp_path / "m.keras", "not a zip file")


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_cut_archive(tmp_path, keep):
    whole = zoo.saved("sequential", tmp_path).read_bytes()
    cut = tmp_path / "cut.keras"
    cut.write_bytes(whole[: int(len(whole) * keep)])
    assert matches(cut)
    fails(cut, "damaged or cut short", "save the file again")


def rewritten(source, target, **members):
    """A copy of an archive with some members replaced (or left out: None)."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = members.get(name.replace(".", "_"), old.read(name))
            if data is not None:
                new.writestr(name, data)
    return target


def test_other_zip_and_missing_members(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as file:
        file.writestr("readme.txt", "no model")
    assert not matches(tmp_path / "other.keras")
    fails(tmp_path / "other.keras", "has no metadata.json")
    source = zoo.saved("sequential", tmp_path)
    fails(rewritten(source, tmp_path / "a.keras", config_json=None), "has no config.json")
    fails(rewritten(source, tmp_path / "b.keras", config_json=b"{"), "not valid JSON")
    fails(rewritten(source, tmp_path / "c.keras", config_json=b"[1]"), "not a JSON object")
    fails(rewritten(source, tmp_path / "d.keras", config_json=b"{}"), "does not describe a model")
    fails(rewritten(source, tmp_path / "e.keras", model_weights_h5=b"junk" * 99), "the weights are damaged")


def test_an_archive_without_weights_still_tells_its_layers(tmp_path):
    source = zoo.saved("sequential", tmp_path)
    info = describe(rewritten(source, tmp_path / "a.keras", model_weights_h5=None), OPTIONS)
    assert info.parameters is None
    assert [layer.path for layer in info.layers][:2] == ["pixels", "conv1"]
    assert "no HDF5 weights" in info.notes[0]


def test_links_in_the_weights_are_refused(tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["layers"] = h5py.ExternalLink("/etc/passwd", "/")
    source = zoo.saved("sequential", tmp_path)
    data = (tmp_path / "w.h5").read_bytes()
    fails(rewritten(source, tmp_path / "a.keras", model_weights_h5=data), "a link to another place")


def test_a_compressed_archive_reads_the_same(tmp_path):
    source = zoo.saved("sequential", tmp_path)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(tmp_path / "z.keras", "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert describe(tmp_path / "z.keras", OPTIONS).layers == describe(source, OPTIONS).layers


def test_damaged_local_header(tmp_path):
    source = zoo.saved("sequential", tmp_path)
    with zipfile.ZipFile(source) as file:
        at = file.getinfo("model.weights.h5").header_offset
    data = bytearray(source.read_bytes())
    data[at : at + 4] = struct.pack("<I", 0)
    (tmp_path / "a.keras").write_bytes(data)
    fails(tmp_path / "a.keras", "damaged or cut short")


def test_float_inputs_of_an_embedding_have_a_limit(tmp_path):
    keras.Sequential([keras.Input((3,), name="x"), keras.layers.Embedding(11, 2)]).save(tmp_path / "m.keras")
    (x,) = describe(tmp_path / "m.keras", OPTIONS).inputs
    assert (x.dtype, x.limit) == ("float32", 11)
    assert np.issubdtype(np.dtype(x.dtype), np.floating)
