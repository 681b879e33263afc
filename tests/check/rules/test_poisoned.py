"""KMR108: the layer that is named is the one that lets NaN out of its sample, not the one where others show it."""

from functools import partial

import numpy as np
import pytest
from zoo import onnx_models as made
from zoo.cases import Case, run

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
