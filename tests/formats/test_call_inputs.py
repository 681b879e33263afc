"""`layers` says from which of the model's inputs every call of a shared layer is, where the file tells."""

import io
import json

import numpy as np
import pytest
from rich.console import Console
from zoo import exported, savedmodel
from zoo.onnx_models import EXPORTED
from zoo.samples import HOME
from zoo.torchscript_architectures import Siamese

from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.formats.keras.describe.config import Argument, LayerConfig, TensorRef
from kmr_cli.formats.keras.describe.origins import call_inputs
from kmr_cli.render.contents import Listing
from kmr_cli.render.documents import json as document
from kmr_cli.render.screen.layers import show_layers

BOTH = (("left",), ("right",))


def described(path):
    return detect(path).describe(path, OpenOptions())


def calls_of(path):
    info = described(path)
    return {layer.path: layer.call_inputs for layer in info.layers if layer.call_inputs}


@pytest.mark.parametrize("name", ["siamese-new.onnx", "shared-new.onnx"])
def test_of_onnx(name):
    found = calls_of(EXPORTED / name)
    assert found == dict.fromkeys(("tower", "tower.0", "tower.1", "tower.2"), BOTH)  # `again` is of both inputs


def test_of_keras_with_what_is_inside_the_shared_model():
    found = calls_of(HOME / "pair.keras")
    assert {"tower", "tower/image", "tower/conv1", "tower/embed", "project"} == found.keys() & {
        "tower", "tower/image", "tower/conv1", "tower/embed", "project", "difference", "head",
    }  # fmt: skip
    assert set(found.values()) == {BOTH}


def test_of_exported_programs():
    batch = {name: np.zeros((3, 5), np.float32) for name in ("left", "right")}
    assert calls_of(exported.saved(Siamese(), batch))["tower"] == BOTH


def test_of_savedmodels(tmp_path):
    found = calls_of(savedmodel.keras_nested(tmp_path / "nested"))
    assert found["tower"] == BOTH
    assert found["sub"] == (("left",), ("left", "right"))


def test_nothing_is_said_where_the_model_has_one_input():
    assert calls_of(EXPORTED / "digits-new.onnx") == {}
    assert calls_of(HOME / "digits.keras") == {}


def functional(layers, inputs):
    refs = [TensorRef(name, 0, 0) for name in inputs]
    return LayerConfig("m", "Functional", None, {}, layers=layers, inputs=refs)


def layer(name, *calls):
    return LayerConfig(name, "Dense", None, {}, calls=[[Argument(None, ref) for ref in call] for call in calls])


def test_layers_that_feed_each_other_are_no_endless_loop():
    a, b = TensorRef("a", 0, 0), TensorRef("b", 0, 0)
    model = functional([layer("x"), layer("y"), layer("a", [b]), layer("b", [a])], ("x", "y"))
    assert call_inputs(model) == {}


def test_screen_and_json_say_it():
    info = described(EXPORTED / "siamese-new.onnx")
    tower = json.loads(document.render(Listing(info, info.layers)))["layers"][0]
    assert (tower["calls"], tower["call_inputs"]) == (2, [["left"], ["right"]])
    console = Console(file=io.StringIO(), width=100)
    show_layers(console, info, info.layers)
    assert "(batch, 4) 2 calls: left; right" in console.file.getvalue()
