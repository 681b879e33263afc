"""Numbers that the graph of a program compares with, and others in it."""

from __future__ import annotations

from collections.abc import Iterator

from kmr_cli.formats.exported.describe import operators
from kmr_cli.formats.exported.describe.program import Graph, Node

_COMPARISONS = frozenset({"eq", "ne", "lt", "le", "gt", "ge"})


def compared(graph: Graph) -> Iterator[object]:
    """Numbers in comparisons, and the names of the tensors that are compared."""
    for node in _nodes(graph):
        if operators.short(node).partition(".")[0] in _COMPARISONS:
            yield from node.positional


def others(graph: Graph) -> Iterator[object]:
    """All numbers that stand in the graph."""
    for node in _nodes(graph):
        yield from (*node.positional, *(value for _, value in node.keywords))


def _nodes(graph: Graph) -> Iterator[Node]:
    for node in graph.nodes:
        yield node
        for inner in node.graphs:
            yield from _nodes(inner)
