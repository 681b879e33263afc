"""A network of layers against the same one of single operators: the first that is wrong is named on both sides."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from zoo import onnx_conversions as zoo
from zoo.onnx_exports import FOLDER

from kmr_cli import open_model
from kmr_cli.compare.compare import compare

BATCH = {"image": np.random.default_rng(4).standard_normal((7, 2, 6, 6)).astype(np.float32)}
LAYERS = FOLDER / "converted-new.onnx"
NAMES = {
    "transposed weight": ("again", "Gemm_1"),
    "missing activation": ("flatten", "Reshape_0"),
    "swapped channels": ("conv", "Conv_0"),
    "other epsilon": ("norm", "LayerNormalization_0"),
}
"""What is wrong -> the first layer that gives other values, and the operator that does its work."""


def operators(path, to):
    """The same graph without a trace of layers, with a cast that does nothing behind each node, as exporters write."""
    made = onnx.load(path)
    nodes, outputs = [], {one.name for one in made.graph.output}
    for node in made.graph.node:
        copy = onnx.NodeProto(op_type=node.op_type, input=node.input, output=node.output, attribute=node.attribute)
        nodes.append(copy)
        name = copy.output[0]
        if name not in outputs and copy.op_type not in ("Shape", "Constant", "Concat"):
            copy.output[0] = f"{name}/raw"
            nodes.append(onnx.helper.make_node("Cast", [f"{name}/raw"], [name], to=1))
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    onnx.save(made, to)
    return to


def taken(path, form):
    """A run, as one of another framework, and the types of its layers."""
    with open_model(path, in_process=True) as model:
        run = replace(model.snapshot(BATCH, sides=("in", "out")), format=form)
        return run, {layer.path: layer.type for layer in model.info.layers}


def compared(now, before):
    (mine, kinds), (yours, others) = taken(now, "onnx"), taken(before, "keras")
    return compare(mine, yours, conversion=True, kinds=(kinds, others))


def named(result):
    return [(one.layer, one.counterpart) for one in result.findings if one.severity == "error"][:1]


def test_the_right_one_agrees(tmp_path):
    plain = operators(LAYERS, tmp_path / "operators.onnx")
    for now, before in ((LAYERS, plain), (plain, LAYERS)):
        result = compared(now, before)
        assert (result.verdict, result.by_order) == ("pass", 7)


@pytest.mark.parametrize("mistake", NAMES)
def test_a_mistake_is_named_on_both_sides(tmp_path, mistake):
    change, (layer, operator) = zoo.WRONG[mistake][0], NAMES[mistake]
    wrong = zoo.spoil(LAYERS, change, tmp_path / "wrong.onnx")
    plain = operators(LAYERS, tmp_path / "operators.onnx")
    wrong_plain = operators(wrong, tmp_path / "wrong-operators.onnx")
    assert named(compared(wrong, plain)) == named(compared(LAYERS, wrong_plain)) == [(layer, operator)]
    assert named(compared(wrong_plain, LAYERS)) == named(compared(plain, wrong)) == [(operator, layer)]


def test_an_activation_that_does_nothing_is_not_taken_for_a_cast(tmp_path):
    """It agrees with whatever hands on what came before it; what speaks for the right one is its kind."""

    def broken(made):
        node = next(one for one in made.graph.node if one.op_type == "Relu")
        node.op_type = "LeakyRelu"
        node.attribute.append(onnx.helper.make_attribute("alpha", 1.0))

    wrong = zoo.spoil(LAYERS, broken, tmp_path / "wrong.onnx")
    plain = operators(LAYERS, tmp_path / "operators.onnx")
    (mine, kinds), (yours, others) = taken(wrong, "onnx"), taken(plain, "keras")
    kinds |= {"act": "ReLU"}  # as a class would be called
    result = compare(mine, yours, conversion=True, kinds=(kinds, others))
    assert named(result) == [("act", "Relu_0")]
