"""How often a layer runs: the nodes of a shared layer, taken apart into its calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from kmr_cli.formats.onnx.describe.flow import Node


def split(
    nodes: list[Node], relative: Mapping[int, str], weights: Callable[[Node], frozenset[str]]
) -> list[list[Node]]:
    """One list of nodes per call.

    Calls do the same, one after another, with the same weights. A layer without weights is taken apart only where
    something else runs between its calls: two equal operations in a row may as well be one call of a layer that does
    both.

    Args:
        nodes: of the layer, in the order in which they run.
        relative: path within the layer of every node, by its number.
        weights: what a node works with.
    """
    steps = [(relative[node.number], node.op, weights(node)) for node in nodes]
    for length in range(1, len(nodes) // 2 + 1):
        if len(nodes) % length == 0 and _repeats(steps, length):
            calls = [nodes[start : start + length] for start in range(0, len(nodes), length)]
            if any(step[2] for step in steps) or _apart(calls):
                return calls
    return [nodes]


def _repeats(steps: Sequence[object], length: int) -> bool:
    return steps[length:] == steps[:-length]


def _apart(calls: Sequence[list[Node]]) -> bool:
    """Whether other nodes run between all calls."""
    return all(later[0].number > earlier[-1].number + 1 for earlier, later in pairwise(calls))
