"""Where the value that enters a layer comes from."""

import numpy as np
import pytest
from zoo.arrays import ArraySession
from zoo.samples import HOME

from kmr_cli import open_model
from kmr_cli.check.check import check
from kmr_cli.check.wiring import outermost
from kmr_cli.records import ModelInfo, TensorSpec


def wired(report):
    """Of every tap that has sources, these without their ports; a call only where it isn't the first."""
    return {
        (tap.layer, tap.call, tap.port): [f"{layer}{call or ''}" for layer, call, _ in tap.sources]
        for tap in report.taps if tap.sources
    }  # fmt: skip


@pytest.mark.usefixtures("tensors")
def test_without_a_graph_the_very_tensor_tells():
    session = ArraySession([("one", np.tanh), ("two", np.negative), ("one", np.abs)], (None, 3))
    spec = TensorSpec("x", (None, 3), "float64")
    info = ModelInfo("m", "keras", "", (spec,), (), session.layers, 0)
    report = check(session, info, {"x": np.random.default_rng(0).standard_normal((4, 3))})
    assert wired(report) == {
        ("two", 0, "in0"): ["one"], ("one", 1, "in0"): ["two"], ("", 0, "out0"): ["one1"],
    }  # fmt: skip


def test_the_graph_tells_what_code_between_layers_made():
    with open_model(HOME / "windows.onnx") as model:
        found = wired(model.check_batch_axis())
    assert found["permute", 0, "in0"] == [""]  # an input of the model
    assert found["window_mix.attention", 0, "in0"] == ["window_mix.qkv"]
    assert found["window_mix.project", 0, "in0"] == ["window_mix.attention", "window_mix.qkv"]
    assert found["merge", 0, "in0"] == ["window_mix"]  # not the layer inside of it that made it
    assert found["window_mix", 0, "out0"] == ["window_mix.project"]
    assert found["relu", 1, "in0"] == ["conv"]
    assert found["_unsafe_view_6", 0, "in0"] == ["relu1"]
    assert found["", 0, "out0"] == ["head"]
    assert ("head", 0, "out0") not in found


def test_of_layers_in_each_other_the_outermost_that_does_not_hold_the_reader():
    same = [("a/b/c", 0, "out0"), ("a/b", 0, "out0"), ("a", 0, "out0")]
    assert outermost(same, "z", "/") == same[2]
    assert outermost(same, "a/d", "/") == same[1]
    assert outermost(same, "a/b/d", "/") == same[0]
    assert outermost(same[2:], "a", "/") is None
    assert outermost([("a", 0, "out0"), ("a", 1, "out0")], "z", "/") == ("a", 1, "out0")
