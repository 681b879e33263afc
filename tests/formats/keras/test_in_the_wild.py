"""Keras files as people have them: older writers, classes of their own, code where values are expected."""

import json
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tf_keras

from kmr_cli import open_model
from kmr_cli.errors import ModelFileError, ModelLoadError, UnsafeModelError
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions, Taps
from kmr_cli.formats.keras.run.load import load_error

pytestmark = pytest.mark.filterwarnings("ignore")


def normal(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module, import it, and forget it when the test ends."""
    made = []

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        made.append(name)
        return __import__(name)

    yield write
    for name in made:
        sys.modules.pop(name, None)


def test_the_first_layer_of_an_old_sequential_carries_the_input(tmp_path):
    """Keras up to 2.3 wrote no InputLayer; Keras 3 takes what Reshape returns for the input."""
    path, k = tmp_path / "model.h5", tf_keras.layers
    layers = [
        k.Reshape((6, 5, 1), input_shape=(6, 5), name="reshape"),
        k.Conv2D(2, 3, name="conv"),
        k.Flatten(name="flat"),
        k.Dense(3, name="out"),
    ]
    model = tf_keras.Sequential(layers)
    model.save(str(path))
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"].pop(0)
        config["config"]["layers"][0]["config"]["batch_input_shape"] = [None, 6, 5]
        config["config"].pop("build_input_shape", None)
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.3.1"
        names = file["model_weights"].attrs["layer_names"]
        file["model_weights"].attrs["layer_names"] = [
            name for name in names if b"input" not in bytes(str(name), "utf8")
        ]
    x = normal(4, 6, 5)
    with open_model(path, in_process=True) as opened:
        assert opened.inputs[0].shape == (None, 6, 5)
        (record,) = opened.sample("conv", 2, x, side="out")
        np.testing.assert_array_equal(record.value, model.layers[1](x[..., None]).numpy()[2])
        assert opened.check_batch_axis(x).verdict == "pass"


SCORER = """
import keras

@keras.saving.register_keras_serializable("house_{name}")
class Scorer(keras.Model):
    def __init__(self, width=8, **kwargs):
        x = keras.Input((6,), name="features")
        side = keras.Input((2,), name="side")
        h = keras.layers.Dense(width, activation="relu", name="d1")(x)
        h = keras.layers.Concatenate(name="cat")([h, side])
        if {mixes}:
            h = h - keras.ops.mean(h, axis=0, keepdims=True)
        super().__init__([x, side], keras.layers.Dense(2, name="head")(h), **kwargs)
        self.width = width

    def get_config(self):
        return {{"width": self.width, "name": self.name}}
"""


@pytest.mark.parametrize("mixes", [False, True])
def test_a_functional_subclass_tells_its_inputs_when_it_is_loaded(tmp_path, module, mixes):
    name = f"kmr_scorer_{mixes}".lower()
    model = module(name, SCORER.format(name=name, mixes=mixes)).Scorer()
    model.save(tmp_path / "model.keras")
    batch = {"features": normal(5, 6), "side": normal(5, 2)}
    with open_model(tmp_path / "model.keras", imports=[name], in_process=True) as opened:
        assert opened.inputs == ()
        report = opened.check_batch_axis(batch)
        assert report.verdict == ("fail" if mixes else "pass")
        assert [spec.name for spec in opened.inputs] == ["features", "side"]
        assert {tap.layer for tap in report.taps} >= {"0", "1", "2", "3", "4"}  # names may come from a counter
        assert opened.check_batch_axis().verdict == report.verdict
        record = opened.sample("4", 1, batch, side="out")[0]
        np.testing.assert_array_equal(record.value, model([batch["features"], batch["side"]])[1])


GATED = """
import {keras}

def doubled(x):
    return 2 * x

class GatedBlock({keras}.layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.value = {keras}.layers.Dense(units)

    def build(self, shape):
        self.value.build(shape)
        super().build(shape)

    def call(self, x):
        return doubled(self.value(x))

    def get_config(self):
        return {{**super().get_config(), "units": self.units}}
"""


@pytest.mark.parametrize(
    ("library", "file"), [(keras, "model.keras"), (keras, "model.h5"), (tf_keras, "two.h5"), (tf_keras, "two.keras")]
)
def test_a_class_that_is_not_registered_is_found_in_its_module(tmp_path, module, library, file):
    name = f"kmr_gated_{library.__name__}"
    gated = module(name, GATED.format(keras=library.__name__))
    x = library.Input((10,), name="x")
    h = gated.GatedBlock(4, name="gate")(x)
    # Of a function Keras 2 writes what it cannot read itself.
    h = library.layers.Dense(4, activation=gated.doubled if library is keras else None, name="last")(h)
    model = library.Model(x, h)
    model.save(str(tmp_path / file))
    data = normal(5, 10)
    with open_model(tmp_path / file, in_process=True) as opened, pytest.raises(ModelLoadError) as raised:
        opened.sample("gate", 0, data)
    if file != "two.keras":  # there Keras 2 fails over the name of the class
        assert "unknown" in raised.value.message
        assert "--import MODULE" in raised.value.hint
    with open_model(tmp_path / file, imports=[name], in_process=True) as opened:
        (record,) = opened.sample("gate", 1, data, side="out")
        np.testing.assert_array_equal(record.value, model.get_layer("gate")(data).numpy()[1])
        assert opened.check_batch_axis(data).verdict == "pass"


STACK = """
import {keras}

@{keras}.saving.register_keras_serializable("house_{name}")
class Stack({keras}.Sequential):
    pass
"""


@pytest.mark.parametrize("library", [keras, tf_keras])
def test_layers_of_a_class_of_sequential(tmp_path, module, library):
    name = f"kmr_stack_{library.__name__}"
    stack = module(name, STACK.format(keras=library.__name__, name=name))
    layers = library.layers
    model = stack.Stack([layers.InputLayer((3,)), layers.Dense(5, name="first"), layers.Dense(2, name="second")])
    model.save(str(tmp_path / "model.keras"))
    x = normal(4, 3)
    with open_model(tmp_path / "model.keras", imports=[name], in_process=True) as opened:
        assert [layer.path for layer in opened.layers][-2:] == ["first", "second"]
        (record,) = opened.sample("first", 1, x, side="out")
        np.testing.assert_array_equal(record.value, np.asarray(model.get_layer("first")(x))[1])
        assert opened.check_batch_axis(x).verdict == "pass"


@pytest.mark.parametrize(("library", "file"), [(keras, "model.keras"), (tf_keras, "model.h5"), (tf_keras, "m.keras")])
def test_lambdas_are_refused_unless_they_are_trusted(tmp_path, library, file):
    x = library.Input((4,), name="x")
    y = library.layers.Dense(3)(x)
    y = library.layers.Lambda(lambda t: t + 1, name="code", output_shape=(3,))(y)
    model = library.Model(x, library.layers.Dense(2, name="out")(y))
    model.save(str(tmp_path / file))
    data = normal(4, 4)
    with open_model(tmp_path / file, in_process=True) as opened, pytest.raises(UnsafeModelError, match="lambda"):
        opened.check_batch_axis(data)
    with open_model(tmp_path / file, in_process=True, trust=True) as opened:
        report = opened.check_batch_axis(data)
        assert (report.verdict, report.grounds.trusted) == ("pass", ("model",))
        (record,) = opened.sample("code", 1, data, side="out")
        hidden = library.Model(model.inputs, model.get_layer("code").output)
        np.testing.assert_allclose(record.value, np.asarray(hidden(data))[1], rtol=1e-6)


def test_a_function_that_a_lambda_layer_names_is_no_code_of_the_file(tmp_path, module):
    double = module("kmr_named_functions", "def double(x):\n    return 2 * x\n").double
    keras.Sequential([keras.Input((2,)), keras.layers.Lambda(double, name="code")]).save(tmp_path / "m.keras")
    with open_model(tmp_path / "m.keras", in_process=True, imports=["kmr_named_functions"]) as opened:
        (record,) = opened.sample("code", 1, normal(2, 2), side="out")
        np.testing.assert_array_equal(record.value, 2 * normal(2, 2)[1])


@pytest.mark.parametrize(("library", "module"), [(keras, "keras_hub"), (tf_keras, "kmr_of_anybody")])
def test_a_file_that_names_a_module_does_not_have_it_imported(tmp_path, monkeypatch, library, module):
    model = library.Sequential([library.Input((2,)), library.layers.Dense(2, name="d")])
    model.save(str(tmp_path / "was.keras"))
    with zipfile.ZipFile(tmp_path / "was.keras") as source, zipfile.ZipFile(tmp_path / "m.keras", "w") as goal:
        for name in source.namelist():
            data = source.read(name)
            if name == "config.json":
                config = json.loads(data)
                config.update(module=module, class_name="Odd", registered_name="Odd")
                data = json.dumps(config).encode()
            goal.writestr(name, data)
    (tmp_path / f"{module}.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with open_model(tmp_path / "m.keras", in_process=True) as opened:
        with pytest.raises(ModelLoadError, match="unknown custom class or function 'Odd'") as raised:
            opened.check_batch_axis(normal(2, 2))
        assert "imports=" in str(raised.value)
    assert not (tmp_path / "canary").exists()
    with open_model(tmp_path / "m.keras", in_process=True, imports=[module]) as opened, pytest.raises(ModelLoadError):
        opened.check_batch_axis(normal(2, 2))
    assert (tmp_path / "canary").exists()
    sys.modules.pop(module)


@pytest.mark.parametrize(("library", "file"), [(keras, "model.keras"), (keras, "model.h5"), (tf_keras, "m.keras")])
def test_a_file_that_is_swapped_before_keras_builds_the_model_is_not_built(tmp_path, library, file):
    path = tmp_path / file
    library.Sequential([library.Input((2,), name="x"), library.layers.Dense(2)]).save(str(path))
    session = detect(path).open(path, OpenOptions())
    path.write_bytes(path.read_bytes())
    with pytest.raises(ModelFileError, match="changed"):
        session.capture({"x": normal(2, 2)}, Taps(()))


@pytest.mark.parametrize("name", ["Equal", "OnesLike", "GreaterEqual"])
def test_an_operation_in_an_h5_file_is_no_custom_class(name):
    error = load_error(Path("model.h5"), ValueError(f"Unknown layer: {name!r}. Please ensure you are using"))
    assert error.message == f"model.h5: Keras 3 cannot read its own operation {name!r} from an .h5 file"
    assert ".keras" in error.hint
    assert "custom" in load_error(Path("model.h5"), ValueError("Unknown layer: 'Dance'. Please")).message
    assert "custom" in load_error(Path("model.keras"), ValueError(f"Unknown layer: {name!r}. Please")).message
