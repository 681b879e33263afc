"""The variables of a graph that only count random numbers: seeds that move on with every run.

Keras' layers keep a seed and an offset in a variable of their own, ``tf.random.Generator`` keeps its position in one.
To a graph these look like state that is kept between calls, as a cache is. But all that they change is which numbers
are drawn: they are chance, and whoever puts them back hides it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from kmr_cli.formats.savedmodel.describe.graph import CALLS, Graph, Node, producer
from kmr_cli.formats.savedmodel.describe.stateful import is_write
from kmr_cli.formats.savedmodel.describe.variables import HANDLES

_DRAWS = re.compile(
    r"Stateless(Random|Truncated|Parameterized|Multinomial|Sample|Shuffle)|Stateful(Uniform|StandardNormal|Truncated|Random)"
    r"|Rng(ReadAndSkip|Skip)|RandomIndexShuffle"
)
_LOOPS, _BRANCHES = ("While", "StatelessWhile"), ("If", "StatelessIf", "Case", "StatelessCase")
_MAX_DEPTH = 50


def random_counters(graph: Graph, nodes: Collection[str], outputs: Iterable[str]) -> frozenset[str]:
    """Handles of variables whose values go into the seeds of random operations, into themselves, and nowhere else.

    Args:
        graph: with ``nodes`` in it.
        nodes: that run.
        outputs: tensors of the signature.
    """
    handles = [name for name in nodes if graph.nodes[name].op in HANDLES]
    if not any(_DRAWS.match(op) for op in {graph.nodes[name].op for name in nodes} | graph.function_operations(nodes)):
        return frozenset()
    users: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for name in nodes:
        for place, entry in enumerate(graph.nodes[name].data_inputs):
            users[producer(entry)].append((name, place))
    ends = {producer(tensor) for tensor in outputs}
    return frozenset(handle for handle in handles if _counts(graph, handle, users, ends))


def _counts(graph: Graph, handle: str, users: Mapping[str, list[tuple[str, int]]], ends: Collection[str]) -> bool:
    """Whether what a variable holds reaches random draws, and neither an output nor another variable."""
    seen, stack, drawn = {handle}, [handle], False
    while stack:
        name = stack.pop()
        if name in ends:
            return False
        for user, place in users[name]:
            node = graph.nodes[user]
            if _DRAWS.match(node.op):
                drawn = True
            elif is_write(node.op):
                if place > 0 and _written(graph, node) != handle:
                    return False
            elif node.functions():
                found = _within(graph, _bodies(node.op, node.functions(), place), set())
                if found is None:
                    return False
                drawn |= found
            elif user not in seen:
                seen.add(user)
                stack.append(user)
    return drawn


def _written(graph: Graph, node: Node) -> str:
    """The variable that an operation writes to, through what only hands it on."""
    name = producer(node.data_inputs[0])
    while graph.nodes[name].op in ("Identity", "Enter", "RefEnter") and graph.nodes[name].data_inputs:
        name = producer(graph.nodes[name].data_inputs[0])
    return name


def _bodies(op: str, functions: Iterable[str], place: int) -> list[tuple[str, int]]:
    """Which argument of which functions a node's input becomes; none where this isn't known."""
    if op in _LOOPS or op in CALLS:
        return [(name, place) for name in sorted(functions)]
    if op in _BRANCHES and place > 0:
        return [(name, place - 1) for name in sorted(functions)]
    return []


def _within(graph: Graph, bodies: list[tuple[str, int]], around: set[tuple[str, int]]) -> bool | None:
    """Whether a variable that is handed to these functions is drawn from there; None where it goes elsewhere too."""
    if not bodies or len(around) > _MAX_DEPTH:
        return None
    drawn = False
    for function, place in bodies:
        if (function, place) in around:
            continue
        found = _in_function(graph, function, place, around | {(function, place)})
        if found is None:
            return None
        drawn |= found
    return drawn


def _in_function(graph: Graph, function: str, place: int, around: set[tuple[str, int]]) -> bool | None:
    definition = graph.function(function)
    argument = definition.signature.input_arg[place].name
    users: dict[str, list[tuple[Any, int]]] = defaultdict(list)
    for raw in definition.node_def:
        for number, entry in enumerate(entry for entry in raw.input if not entry.startswith("^")):
            users[producer(entry)].append((raw, number))
    handed_on = {producer(entry) for entry in definition.ret.values()} - {argument}  # as it is: a loop hands it round
    seen, stack, drawn = {argument}, [argument], False
    while stack:
        name = stack.pop()
        if name in handed_on:
            return None
        for raw, number in users[name]:
            called = {value.func.name for value in raw.attr.values() if value.WhichOneof("value") == "func"}
            if _DRAWS.match(raw.op):
                drawn = True
            elif is_write(raw.op):
                if number > 0 and producer(raw.input[0]) != argument:
                    return None
            elif called:
                found = _within(graph, _bodies(raw.op, called, number), around)
                if found is None:
                    return None
                drawn |= found
            elif raw.name not in seen:
                seen.add(raw.name)
                stack.append(raw.name)
    return drawn
