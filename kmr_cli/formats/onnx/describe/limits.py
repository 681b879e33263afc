"""How large an integer input may be: rows of the tables that it is an index into."""

from __future__ import annotations

from kmr_cli.formats.onnx.describe import types
from kmr_cli.formats.onnx.describe.graph import Graph, Node
from kmr_cli.formats.onnx.describe.weights import Weights

# An integer that goes through these is still the same index when it reaches the rows of a table.
_INDEX_KEEPING = frozenset(
    {"Identity", "Cast", "Reshape", "Unsqueeze", "Squeeze", "Transpose", "Concat", "Slice", "Tile", "Expand", "Flatten"}
    | {"Split", "GatherND", "Where"}
)
# Through these it mostly is: TensorFlow's way to count from the end, written as arithmetic.
_ARITHMETIC = frozenset({"Add", "Mul"})


def limit(graph: Graph, weights: Weights, name: str) -> tuple[int | None, bool]:
    """The rows of the smallest table that an input of integers is an index into, or None; whether it is certain."""
    if graph.type(name).dtype not in types.INTEGERS:
        return None, True
    limits: dict[bool, list[int]] = {True: [], False: []}
    seen: set[tuple[str, bool]] = set()
    stack = [(name, True)]
    while stack:
        value, certain = stack.pop()
        if (value, certain) in seen:
            continue
        seen.add((value, certain))
        for user in graph.users.get(value, ()):
            reads = list(user.message.input)
            if user.op == "Gather" and len(reads) == 2 and reads[1] == value:
                rows = _rows(graph, weights, user)
                limits[certain] += [] if rows is None else [rows]
            elif (user.op in _INDEX_KEEPING or user.op in _ARITHMETIC) and value in reads:
                kept = certain and user.op in _INDEX_KEEPING
                stack.extend((output, kept) for output in user.outputs if output)
    if limits[True]:
        return min(limits[True]), True
    return min(limits[False], default=None), False


def _rows(graph: Graph, weights: Weights, gather: Node) -> int | None:
    """The rows of the table that a Gather takes from, if it is a constant."""
    table = weights.get(graph.behind(gather.message.input[0]))
    axis = gather.attribute("axis")
    number = axis.i if axis is not None else 0
    if table is None or not -len(table.shape) <= number < len(table.shape):
        return None
    return table.shape[number]
