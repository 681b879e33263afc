"""Whether a graph writes to what outlives a run: variables, tables, queues."""

from __future__ import annotations

import re
from collections.abc import Collection

from kmr_cli.formats.savedmodel.describe.graph import Graph

_WRITES = re.compile(
    r"(Ref)?Assign|(Resource)?(Sparse)?Apply[A-Z]|Resource(Scatter|StridedSliceAssign)|(Resource)?CountUpTo"
    r"|Scatter(Nd)?(Add|Sub|Mul|Div|Min|Max|Update)|LookupTable(Insert|Remove|Import)|\w*(Enqueue|Dequeue)"
    r"|(Ordered)?Map(Un)?[sS]tage|(Uns|S)tage$|\w*Accumulator(Apply|Take)Gradient|StridedSliceAssign"
)


def is_write(operation: str) -> bool:
    """Whether an operation is one of these."""
    return _WRITES.match(operation) is not None


def writes(graph: Graph, nodes: Collection[str]) -> bool:
    """Whether one of these nodes, or of those in functions that they reach, is such an operation."""
    operations = {graph.nodes[name].op for name in nodes} | graph.function_operations(nodes)
    return any(map(is_write, operations))
