"""How large an integer input may be: rows of the tables that it is an index into."""

from __future__ import annotations

from typing import NamedTuple

from kmr_cli.formats.onnx.describe import types
from kmr_cli.formats.onnx.describe.flow import Node
from kmr_cli.formats.onnx.describe.graph import Graph
from kmr_cli.formats.onnx.describe.weights import Weights

# A number that goes through these is still the same when it reaches the rows of a table.
_KEEPING = frozenset(
    {"Identity", "Cast", "Reshape", "Unsqueeze", "Squeeze", "Transpose", "Concat", "Tile", "Expand", "Flatten", "Where"}
)
# Through these some of them are; or it mostly is: TensorFlow's way to count from the end, written as arithmetic.
_PICKING = frozenset({"Slice", "Split", "Gather", "GatherND"})
_ARITHMETIC = frozenset({"Add", "Mul"})


class Use(NamedTuple):
    """What an input's numbers are used for.

    Attributes:
        rows: of the smallest table that they are indices into, or None.
        certain: all of them are.
        whole: they are floats that are cast to integers.
    """

    rows: int | None = None
    certain: bool = True
    whole: bool = False


def use(graph: Graph, weights: Weights, name: str) -> Use:
    """Follow an input of integers, or of floats, to the tables that it is an index into."""
    dtype = graph.type(name).dtype
    floats = dtype is not None and (dtype.startswith("float") or dtype == "bfloat16")
    if dtype not in types.INTEGERS and not floats:
        return Use()
    whole = False
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
            elif value in reads and (
                user.op in _KEEPING or user.op in _PICKING or (user.op in _ARITHMETIC and not floats)
            ):
                whole = whole or (floats and user.op == "Cast" and _to_integers(user))
                kept = certain and user.op in _KEEPING
                stack.extend((output, kept) for output in user.outputs if output)
    found = limits[True] or limits[False]
    return Use(min(found, default=None), bool(limits[True]), whole)


def _to_integers(cast: Node) -> bool:
    target = cast.attribute("to")
    return target is not None and types.dtype_name(target.i) in types.INTEGERS


def _rows(graph: Graph, weights: Weights, gather: Node) -> int | None:
    """The rows of the table that a Gather takes from, if it is a constant."""
    table = weights.get(graph.behind(gather.message.input[0]))
    axis = gather.attribute("axis")
    number = axis.i if axis is not None else 0
    if table is None or not -len(table.shape) <= number < len(table.shape):
        return None
    return table.shape[number]
