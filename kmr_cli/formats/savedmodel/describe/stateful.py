"""Whether a graph writes to what outlives a run: variables, tables, queues."""

from __future__ import annotations

import re
from collections.abc import Collection

from kmr_cli.formats.savedmodel.describe.graph import Graph, producer

_WRITES = re.compile(
    r"(Ref)?Assign|(Resource)?(Sparse)?Apply[A-Z]|Resource(Scatter|StridedSliceAssign)|(Resource)?CountUpTo"
    r"|Scatter(Nd)?(Add|Sub|Mul|Div|Min|Max|Update)|LookupTable(Insert|Remove|Import)|\w*(Enqueue|Dequeue)"
    r"|(Ordered)?Map(Un)?[sS]tage|(Uns|S)tage$|\w*Accumulator(Apply|Take)Gradient|StridedSliceAssign"
)


_TO_VARIABLES = re.compile(r"(Assign\w*VariableOp|Resource)")
"""Of these operations, those that write to a variable of TensorFlow 2 and to nothing else."""


def is_write(operation: str) -> bool:
    """Whether an operation writes to what outlives a run."""
    return _WRITES.match(operation) is not None


def writes(graph: Graph, nodes: Collection[str], counters: Collection[str] = ()) -> bool:
    """Whether one of these nodes, or of those in functions that they reach, is such an operation.

    Args:
        graph: with ``nodes`` in it.
        nodes: that run.
        counters: variables that only count random numbers, which is chance and not state.
    """
    return any(map(is_write, _operations(graph, nodes, counters)))


def only_to_variables(graph: Graph, nodes: Collection[str]) -> bool:
    """Whether all that they write are variables, which can be put back while everything else goes on."""
    return all(_TO_VARIABLES.match(one) for one in _operations(graph, nodes, ()) if is_write(one))


def _operations(graph: Graph, nodes: Collection[str], counters: Collection[str]) -> set[str]:
    """The operations of these nodes and of functions that they reach, but for those that are given a counter."""
    others = []
    for name in nodes:
        given = graph.nodes[name].data_inputs
        if not (given and producer(given[0]) in counters and is_write(graph.nodes[name].op)):
            others.append(name)
    return {graph.nodes[name].op for name in others} | graph.function_operations(others)
