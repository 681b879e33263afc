"""KMR108: the layer that is named is the one that lets NaN out of its sample, not the one where others show it."""

from functools import partial

import numpy as np
import pytest
from zoo import onnx_models as made
from zoo.arrays import ArraySession
from zoo.cases import Case, run

from kmr_cli.check.check import check
from kmr_cli.records import ModelInfo

pytestmark = pytest.mark.usefixtures("tensors")


def added_sum_of_zeros(width, axis, folder):
    """``tanh(x) + (tanh(x) * 0).sum(axis)``: over the samples, or over what one sample holds."""
    nodes = [
        made.helper.make_node("Tanh", ["x"], ["h"], name="before"),
        made.helper.make_node("Mul", ["h", "zero"], ["zeros"], name="zeros"),
        made.helper.make_node("ReduceSum", ["zeros", "axis"], ["sum"], name="sum", keepdims=1),
        made.helper.make_node("Tanh", ["sum"], ["turned"], name="turn"),
        made.helper.make_node("Add", ["h", "turned"], ["joined"], name="join"),
        made.helper.make_node("Tanh", ["joined"], ["y"], name="after"),
    ]
    constants = [made.constant("axis", [axis]), made.constant("zero", [[0.0]], np.float32)]
    inputs, outputs = [made.tensor("x", ["batch", width])], [made.tensor("y", ["batch", width])]
    return made.save(made.model(nodes, inputs, outputs, constants), folder / "model.onnx")


def errors(case):
    return {(one.rule, one.layer) for one in run(case).findings if one.severity == "error"}


@pytest.mark.parametrize("width", [5, 7], ids=["7 samples, 5 features", "7 samples, 7 features"])
def test_the_sum_over_the_samples_is_named(width):
    assert errors(Case("sum", "onnx", partial(added_sum_of_zeros, width, 0))) == {("KMR108", "sum")}


@pytest.mark.parametrize("width", [5, 7])
def test_a_sum_over_features_is_clean(width):
    assert errors(Case("sum", "onnx", partial(added_sum_of_zeros, width, 1))) == set()


def refuses(x):
    if not np.isfinite(x).all():
        raise ValueError("the input matrix contained non-finite values")
    return np.tanh(x)


def test_a_layer_that_fails_on_nan_gets_a_remedy_that_helps():
    session = ArraySession([("before", np.tanh), ("svd", refuses)])
    info = ModelInfo("m", "keras", "", session.inputs, (), session.layers, 0)
    found = check(session, info, {"x": np.random.default_rng(0).standard_normal((6, 3))}).findings
    (finding,) = [one for one in found if one.rule == "KMR108"]
    assert "makes the whole batch fail" in finding.message
    assert "replace what isn't finite before this layer" in finding.remedy
    assert "where()" not in finding.remedy
