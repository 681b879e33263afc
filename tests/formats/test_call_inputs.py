"""`layers` says from which of the model's inputs every call of a shared layer is, where the file tells."""

import io
import json
import warnings

import numpy as np
import pytest
from rich.console import Console
from zoo import exported, savedmodel
from zoo.onnx_models import EXPORTED
from zoo.samples import HOME
from zoo.torchscript_architectures import Siamese

from kmr_cli import open_model
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.formats.keras.describe.config import Argument, LayerConfig, TensorRef
from kmr_cli.formats.keras.describe.origins import call_inputs
from kmr_cli.formats.keras.describe.running_order import calls_in_order
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
    # `tower` stands deeper, where the calls that lead to the last operand come first.
    assert {path: calls for path, calls in found.items() if calls != BOTH[::-1]} == {"project": BOTH}


def two_ways(keras, first, crossed=False):
    """A layer that is called on two inputs, or on one and on what it made of it; ``first`` is returned first."""
    keras.backend.clear_session()
    inputs = {name: keras.Input((6,), name=name) for name in "ab"}
    shared = keras.layers.Dense(6, activation="tanh", name="shared")
    other = keras.layers.Dense(6, name="other")
    found = {"b": shared(inputs["b"])}  # it is called on `b` first
    found["a"] = shared(other(found["b"]) if crossed else inputs["a"])
    heads = {name: keras.layers.Dense(2, name=f"head_{name}")(value) for name, value in found.items()}
    last = "b" if first == "a" else "a"
    both = keras.layers.Concatenate(name="both")([inputs["a"], heads[last]]) if crossed else heads[last]
    return keras.Model(list(inputs.values()), [heads[first], both])


@pytest.mark.parametrize(
    ("library", "first", "crossed"),
    [("keras", "a", False), ("keras", "b", True), ("tf_keras", "b", False), ("tf_keras", "a", True)],
)
def test_keras_runs_calls_by_their_depth_and_not_as_it_lists_them(tmp_path, library, first, crossed):
    path = tmp_path / ("model.keras" if library == "keras" else "model.h5")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        two_ways(pytest.importorskip(library), first, crossed).save(path)
    batch = {name: np.full((2, 6), number, np.float32) for number, name in enumerate("ab", 1)}
    with open_model(path) as model:
        seen = [record.value.flat[0] for record in model.sample("shared", 0, batch, side="in", verify=False)]
        whole = [
            record.value.flat[0]
            for record in model.sample("*", 0, batch, side="in", verify=False)
            if record.layer == "shared"
        ]
    assert seen == whole  # of a part of the model that is loaded for this layer alone, and of all of it
    told = calls_of(path).get("shared", (("b",), ("b",)))
    assert [value if value in (1, 2) else "inside" for value in seen] == [
        "inside" if crossed and place else batch[names[0]].flat[0] for place, names in enumerate(told)
    ]


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


def test_calls_of_a_model_inside_count_from_one_where_they_are_outputs():
    """The last output that the calls lead to comes first."""
    inner = functional([layer("deep", [TensorRef("x", 0, 0)])], ("x",))
    inner.name, inner.calls = "inner", layer("", [TensorRef("a", 0, 0)], [TensorRef("b", 0, 0)]).calls
    for outputs, order in (((1, 2), [1, 0]), ((2, 1), [0, 1])):
        model = functional([layer("a"), layer("b"), inner], ("a", "b"))
        model.outputs = [TensorRef("inner", number, 0) for number in outputs]
        assert calls_in_order(model)["inner"] == order
        assert call_inputs(model)["inner"] == tuple((("a",), ("b",))[number] for number in order)
