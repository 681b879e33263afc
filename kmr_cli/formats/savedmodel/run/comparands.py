"""Numbers that a graph compares with, and other short constants of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from kmr_cli.formats.common.comparands import SMALL, Comparands, listed
from kmr_cli.formats.savedmodel.describe.analysis import Analysis
from kmr_cli.formats.savedmodel.describe.graph import producer

_COMPARISONS = frozenset({"Equal", "NotEqual", "Greater", "GreaterEqual", "Less", "LessEqual"})
_KEEPING = frozenset({"Cast", "ExpandDims", "Identity", "Reshape"})


def comparands(tensorflow: Any, analysis: Analysis) -> Comparands:
    """See :class:`kmr_cli.formats.interface.ComparingSession`."""
    compared: list[Any] = []
    others: list[Any] = []
    for nodes in _graphs(analysis):
        constants = {name: _content(tensorflow, raw) for name, (op, _, raw) in nodes.items() if op == "Const"}
        others += constants.values()
        for op, inputs, _ in nodes.values():
            for entry in inputs if op in _COMPARISONS else ():
                name = producer(entry)
                while name in nodes and nodes[name][0] in _KEEPING and nodes[name][1]:
                    name = producer(nodes[name][1][0])
                compared.append(constants.get(name))
    return listed(compared, others)


def _graphs(analysis: Analysis) -> Iterator[dict[str, tuple[str, list[str], Any]]]:
    """Of the graph, and of every function that it runs: name -> operation, inputs, tensor of a constant."""
    graph = analysis.graph
    names = analysis.flow.order
    yield {name: (node.op, node.data_inputs, node.attr("value")) for name in names for node in [graph.nodes[name]]}
    for function in graph.function_names(names):
        yield {
            raw.name: (raw.op, list(raw.input), dict(raw.attr).get("value"))
            for raw in graph.function(function).node_def
        }


def _content(tensorflow: Any, attribute: Any) -> Any:
    """The array in a constant, if it is short; else None."""
    if attribute is None or len(attribute.tensor) > 64 * SMALL:
        return None
    message = type(tensorflow.make_tensor_proto(0)).FromString(attribute.tensor)
    if math.prod(dim.size for dim in message.tensor_shape.dim) > SMALL:
        return None
    return tensorflow.make_ndarray(message)
