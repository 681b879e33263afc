"""Every format runs the conformance kit: on every sample model, on live objects, on layer classes, on a toy."""

import sys
from pathlib import Path

import numpy as np
import pytest
from zoo import toy_format, toys
from zoo.samples import DATA, HOME, batch_of, run_bare

from kmr_cli.batch.fit import fit
from kmr_cli.batch.given import from_arrays
from kmr_cli.formats import FORMATS, conformance, detect, load_format
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.formats.layer_class import LayerClass
from kmr_cli.records import TensorSpec

pytestmark = pytest.mark.slow
ROUNDED = {name for name in DATA if not name.endswith((".keras", ".pt", ".pt2", ".onnx"))}
"""Formats whose bare run is not quite ours. A SavedModel's session turns off the fusions of the served signature, and a
Keras 2 file runs on Keras 3 kernels: a few units in the last place there."""


def sample(name):
    path = HOME / name
    found = detect(path)
    inputs = found.describe(path, OpenOptions()).inputs
    return conformance.Example(
        name,
        found,
        path,
        fit(from_arrays(batch_of(name)), inputs, fixed_batch=None, notice=lambda text: None),
        bare=lambda batch: run_bare(name, batch),
        bare_tolerance=2e-6 if name in ROUNDED else 0.0,
        # Which tensors are fetched decides what TensorFlow may fuse.
        taps_tolerance=1e-5 if path.is_dir() else 0.0,
    )


SAMPLES = [sample(name) for name in DATA]


@pytest.fixture(scope="module")
def opened(request):
    with conformance.opened(request.param) as found:
        yield found


@pytest.mark.parametrize(("opened", "rule"), conformance.cases(SAMPLES), indirect=["opened"], ids=str)
def test_sample_models(opened, rule):
    rule(opened)


def test_every_format_has_examples():
    assert {example.format.NAME for example in SAMPLES} == set(FORMATS)


# -- the toy ------------------------------------------------------------------------------------------------------


def toy(path, said, names, ports=()):
    from zoo.toy_format.run.model import load

    toys.save(path, said, toys.weights())
    return conformance.Example(
        path.stem,
        toy_format,
        path,
        toys.batch(names=names),
        bare=lambda batch: list(load(path)({name: np.array(rows) for name, rows in batch.items()}).values()),
        ports=dict(ports),
    )


@pytest.mark.parametrize("name", ["plain", "leak", "corners"])
def test_the_toy(tmp_path, name):
    path = tmp_path / f"{name}.toy"
    if name == "corners":
        example = toy(path, toys.corners(), ("x", "x2"), {"join": ("in0", "in2", "out0")})
    else:
        example = toy(path, toys.graph(leak=name == "leak"), ("x",))
    optional = 3  # it has no graph to hand out, and keeps nothing between passes
    assert len(conformance.cases([example])) >= len(conformance.RULES) - optional
    conformance.check_conformance(example)


def test_a_live_toy(tmp_path):
    from zoo.toy_format.run.model import load

    model = load(toys.save(tmp_path / "m.toy", toys.corners(), toys.weights()))
    live = conformance.Example("live", toy_format, None, toys.batch(names=("x", "x2")), live=model)
    conformance.check_conformance(live)


# -- live objects -------------------------------------------------------------------------------------------------


def test_a_live_keras_model():
    import keras

    model = keras.models.load_model(HOME / "digits.keras", compile=False)
    batch = {"image": batch_of("digits.keras")["image"]}
    conformance.check_conformance(
        conformance.Example(
            "live",
            load_format("keras"),
            None,
            batch,
            live=model,
            bare=lambda rows: [np.asarray(model(rows["image"], training=False))],
        )
    )


def test_a_live_script_module():
    import torch

    module = torch.jit.load(str(HOME / "digits_scripted.pt")).eval()
    (rows,) = batch_of("digits_scripted.pt").values()
    name = load_format("torchscript").adopt(module).inputs[0].name

    def bare(batch):
        with torch.no_grad():
            return [module(torch.from_numpy(batch[name])).numpy()]

    conformance.check_conformance(
        conformance.Example("live", load_format("torchscript"), None, {name: rows}, live=module, bare=bare)
    )


# -- layer classes ------------------------------------------------------------------------------------------------

CLASSES = """
import keras, torch

class TorchTwo(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first = torch.nn.Linear(4, width)
        self.second = torch.nn.Linear(width, 2)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))

class KerasTwo(keras.layers.Layer):
    def __init__(self, width, name="two", **options):
        super().__init__(name=name, **options)
        self.first = keras.layers.Dense(width, activation="relu")
        self.second = keras.layers.Dense(2)

    def build(self, shape):
        self.first.build(shape)
        self.second.build((*shape[:-1], self.first.units))

    def call(self, x):
        return self.second(self.first(x))
"""


@pytest.mark.parametrize("name", ["TorchTwo", "KerasTwo"])
def test_layer_classes(tmp_path, monkeypatch, name):
    module = f"conformance_{name.lower()}"
    (tmp_path / f"{module}.py").write_text(CLASSES)
    monkeypatch.syspath_prepend(tmp_path)
    spec = TensorSpec("x", (None, 4), "float32")
    path, found = Path(f"{module}:{name}"), LayerClass({"width": 3}, (spec,))
    assert found.matches(path)
    (given,) = found.describe(path, OpenOptions()).inputs
    conformance.check_conformance(conformance.Example(name, found, path, {given.name: toys.batch()["x"]}))
    sys.modules.pop(module, None)
