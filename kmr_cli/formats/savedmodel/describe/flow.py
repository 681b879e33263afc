"""What the fed inputs reach on their way to the outputs, and which of it can be fetched."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from kmr_cli.formats.savedmodel.describe import dtypes
from kmr_cli.formats.savedmodel.describe.graph import Graph, Node, producer

SHAPE_OPS = frozenset({"Shape", "ShapeN", "Size", "Rank"})
"""What they return says how large the inputs are, not what is in them."""

_ENTER = frozenset({"Enter", "RefEnter"})
_EXIT = frozenset({"Exit", "RefExit"})
_SWITCH = frozenset({"Switch", "RefSwitch", "_SwitchN"})
_MERGE = frozenset({"Merge", "RefMerge"})
_NEXT = frozenset({"NextIteration", "RefNextIteration"})


@dataclass(frozen=True)
class Flow:
    """Which nodes matter for one signature.

    Attributes:
        order: the nodes that the outputs need, in an order in which they can run.
        rank: place of a node in that order.
        users: nodes that take a tensor of a node, among the needed ones.
        live: those whose values depend on what is fed.
        hidden: those inside TF1 loops and branches: their tensors exist several times or not at all.
    """

    order: tuple[str, ...]
    rank: Mapping[str, int]
    users: Mapping[str, tuple[str, ...]]
    live: frozenset[str]
    hidden: frozenset[str]


def trace(graph: Graph, feeds: Collection[str], outputs: Iterable[str]) -> Flow:
    """Follow the signature's inputs to its outputs (both as tensors of the inlined graph)."""
    order = _execution_order(graph, graph.ancestors(outputs))
    users: dict[str, list[str]] = {name: [] for name in order}
    for name in order:
        for entry in dict.fromkeys(map(producer, graph.nodes[name].data_inputs)):
            users[entry].append(name)
    live: set[str] = set()
    stack = [producer(feed) for feed in feeds]
    while stack:
        name = stack.pop()
        if name in live or name not in users:
            continue
        live.add(name)
        if graph.nodes[name].op not in SHAPE_OPS:
            stack.extend(users[name])
    return Flow(
        order=tuple(order),
        rank={name: index for index, name in enumerate(order)},
        users={name: tuple(found) for name, found in users.items()},
        live=frozenset(live),
        hidden=frozenset(_hidden(graph, order)),
    )


def can_fetch(graph: Graph, flow: Flow, tensor: str) -> bool:
    """Whether a tensor is a value (no handle of a variable, table or list) that a run can hand out."""
    name = producer(tensor)
    if name in flow.hidden or graph.nodes[name].op in SHAPE_OPS:
        return False
    return graph.dtype(tensor) not in (None, dtypes.RESOURCE, dtypes.VARIANT)


def _execution_order(graph: Graph, needed: Collection[str]) -> list[str]:
    """Producers before consumers; otherwise as the file lists them, which is the order they were written in."""
    by_position = sorted(needed, key=lambda name: graph.nodes[name].position)
    if _is_executable(graph, by_position):
        return by_position
    missing: dict[str, int] = {}
    waiting: dict[str, list[str]] = {}
    for name in by_position:
        sources = set(_forward_inputs(graph.nodes[name], graph))
        missing[name] = len(sources)
        for source in sources:
            waiting.setdefault(source, []).append(name)
    ready = [(graph.nodes[name].position, name) for name, count in missing.items() if not count]
    heapq.heapify(ready)
    order = []
    while ready:
        _, name = heapq.heappop(ready)
        order.append(name)
        for user in waiting.get(name, ()):
            missing[user] -= 1
            if not missing[user]:
                heapq.heappush(ready, (graph.nodes[user].position, user))
    placed = set(order)
    return order + [name for name in by_position if name not in placed]


def _is_executable(graph: Graph, order: list[str]) -> bool:
    seen: set[str] = set()
    for name in order:
        if any(source not in seen for source in _forward_inputs(graph.nodes[name], graph)):
            return False
        seen.add(name)
    return True


def _forward_inputs(node: Node, graph: Graph) -> list[str]:
    """The nodes it takes from or waits for, without the back edge of a TF1 loop."""
    sources = [producer(entry) for entry in node.inputs]
    if node.op in _MERGE:
        sources = [source for source in sources if graph.nodes[source].op not in _NEXT]
    return sources


def _hidden(graph: Graph, order: list[str]) -> set[str]:
    """Nodes inside TF1 loop frames and conditional branches.

    Between Enter and Exit a tensor has one value per iteration; between Switch and Merge it may have none.
    """
    if not any(graph.nodes[name].op in _ENTER or graph.nodes[name].op in _SWITCH for name in order):
        return set()
    loops: dict[str, int] = {}
    branches: dict[str, int] = {}
    for name in order:
        node = graph.nodes[name]
        sources = _forward_inputs(node, graph)
        loop = max((loops[source] for source in sources), default=0)
        branch = max((branches[source] for source in sources), default=0)
        if node.op in _ENTER:
            loop += 1
        elif node.op in _EXIT:
            loop = max(loop - 1, 0)
        elif node.op in _SWITCH and not any(graph.nodes[source].op == "LoopCond" for source in sources):
            branch += 1
        elif node.op in _MERGE and len(sources) == len(node.inputs):  # not the head of a loop
            branch = max(branch - 1, 0)
        loops[name], branches[name] = loop, branch
    return {name for name in order if loops[name] or branches[name]}
