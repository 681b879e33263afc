"""One network in several formats, and wrong conversions of it, each with one seeded mistake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper


def weight(made: Any, name: str) -> np.ndarray:
    """The values of an initializer."""
    return numpy_helper.to_array(next(one for one in made.graph.initializer if one.name == name))


def set_weight(made: Any, name: str, values: np.ndarray) -> None:
    """Put other values in its place."""
    for one in made.graph.initializer:
        if one.name == name:
            one.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), name))


def _weights_of(made: Any, operator: str) -> list[tuple[str, str]]:
    """(node, weight) of every node of an operator that has one of rank 2 or more."""
    ranks = {one.name: len(one.dims) for one in made.graph.initializer}
    return [
        (node.name, name)
        for node in made.graph.node
        if node.op_type in operator.split()
        for name in node.input
        if ranks.get(name, 0) > 1
    ]


def transposed(made: Any) -> None:
    """The square weight of the layer ``again`` is transposed."""
    for _, name in _weights_of(made, "Gemm MatMul"):
        if (values := weight(made, name)).shape == (8, 8):
            set_weight(made, name, values.T)


def without_activation(made: Any) -> None:
    """The first Relu is gone."""
    node = next(one for one in made.graph.node if one.op_type == "Relu")
    taken, given = node.input[0], node.output[0]
    made.graph.node.remove(node)
    for other in made.graph.node:
        other.input[:] = [taken if name == given else name for name in other.input]


def swapped_channels(made: Any) -> None:
    """The first convolution reads its channels in the other order."""
    (_, name) = _weights_of(made, "Conv")[0]
    set_weight(made, name, weight(made, name)[:, ::-1])


def other_epsilon(made: Any) -> None:
    """The layer normalization has another epsilon."""
    node = next(one for one in made.graph.node if one.op_type == "LayerNormalization")
    attribute = next((one for one in node.attribute if one.name == "epsilon"), None) or node.attribute.add(
        name="epsilon"
    )
    attribute.CopyFrom(onnx.helper.make_attribute("epsilon", 0.3))


def baked_batch(made: Any, width: int = 32) -> None:
    """What flattens reshapes to the batch that the model was exported with."""
    node = next(one for one in made.graph.node if one.op_type in ("Flatten", "Reshape"))
    made.graph.initializer.append(numpy_helper.from_array(np.array([3, width]), "baked"))
    node.op_type, node.input[:] = "Reshape", [node.input[0], "baked"]
    del node.attribute[:]


WRONG: dict[str, tuple[Callable[[Any], None], str]] = {
    "transposed weight": (transposed, "again"),
    "missing activation": (without_activation, "flatten"),
    "swapped channels": (swapped_channels, "conv"),
    "other epsilon": (other_epsilon, "norm"),
}
"""What is done to a right conversion, and the layer at which it first shows."""


def spoil(path: Path, change: Callable[[Any], None], to: Path) -> Path:
    """A copy of a model with a mistake in it."""
    made = onnx.load(path)
    change(made)
    onnx.save(made, to)
    return to
