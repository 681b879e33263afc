"""How large the integers of an input may be: rows of the tables that they are indices into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kmr_cli.formats.savedmodel.describe import dtypes
from kmr_cli.formats.savedmodel.describe.flow import Flow
from kmr_cli.formats.savedmodel.describe.graph import Graph, Node, producer
from kmr_cli.formats.savedmodel.describe.variables import Variable

# A number that goes through these is still the same when it reaches the rows of a table.
_KEEPING = frozenset(
    {"Identity", "Cast", "Reshape", "ExpandDims", "Squeeze", "Select", "SelectV2", "Transpose", "Pack", "ConcatV2"}
    | {"Tile", "BroadcastTo", "Unique"}
)
# Through these some of them are.
_PICKING = frozenset({"StridedSlice", "Slice", "GatherNd", "Split", "SplitV", "Unpack"})
_GATHERS = frozenset({"ResourceGather", "GatherV2", "Gather"})


class Use(NamedTuple):
    """What an input's numbers are used for.

    Attributes:
        rows: of the smallest table that they are indices into, or None.
        partial: some of them may be indices of another table, or none at all.
        whole: they are floats that are cast to integers.
    """

    rows: int | None
    partial: bool
    whole: bool


def use(graph: Graph, flow: Flow, variables: Mapping[str, Variable], tensor: str, dtype: str | None) -> Use:
    """Follow an input to the tables that it is an index into, through what leaves its numbers as they are.

    Args:
        graph: of the signature.
        flow: who reads what.
        variables: the tables.
        tensor: the input.
        dtype: of it; only integers and floats are followed.
    """
    floats = dtype is not None and (dtype.startswith("float") or dtype == "bfloat16")
    if dtype not in dtypes.INTEGERS and not floats:
        return Use(None, False, False)
    rows: dict[bool, list[int]] = {False: [], True: []}
    whole = False
    waiting, seen = [(tensor, False)], set()
    while waiting:
        current, partial = waiting.pop()
        if (current, partial) in seen:
            continue
        seen.add((current, partial))
        for user in flow.users.get(producer(current), ()):
            node = graph.nodes[user]
            entries = node.data_inputs
            if node.op in _GATHERS and entries[1] == current:
                count = _rows(graph, variables, entries[0])
                rows[partial] += [] if count is None else [count]
            elif current in entries and (node.op in _KEEPING or node.op in _PICKING):
                whole = whole or (floats and _to_integers(node))
                outputs = range(len(graph.types(user)))
                waiting.extend((f"{user}:{index}", partial or node.op in _PICKING) for index in outputs)
    found = rows[False] or rows[True]
    return Use(min(found, default=None), not rows[False], whole)


def _to_integers(node: Node) -> bool:
    target = node.attr("DstT") if node.op == "Cast" else None
    return target is not None and dtypes.name(target.type) in dtypes.INTEGERS


def _rows(graph: Graph, variables: Mapping[str, Variable], tensor: str) -> int | None:
    name = producer(tensor)
    while name not in variables:
        node = graph.nodes[name]
        entries = node.data_inputs
        if node.op not in ("ReadVariableOp", "Identity", "Cast") or not entries:
            return None
        name = producer(entries[0])
    shape = variables[name].shape
    return shape[0] if shape else None
