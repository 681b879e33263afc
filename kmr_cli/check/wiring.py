"""Where the value that enters a layer comes from: the layers that returned it, as far as passes or the graph show."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

from kmr_cli.check.run import Run
from kmr_cli.evidence.taps import Tap
from kmr_cli.proof.graph import Graph, references
from kmr_cli.records import Connection

_FAR = 5_000
"""Operators that are gone back through for one value, at most: what combines so many is no neighbour."""


def sources(run: Run) -> dict[Tap, tuple[Tap, ...]]:
    """For every value that enters a layer, or leaves a container or the model, the taps that it was made from.

    The very tensor that a layer returned comes from that layer alone: of a container and the layer inside it that made
    it, from the container, unless the value stays inside. What code between layers made of several comes from all of
    them, where the graph of the model is known. An input of the model is the tap ``("", 0, "in0")``. A value of which
    nothing is known is left out.
    """
    graph = None if run.structure is None else run.structure.proof.owners.graph
    separator = run.info.separator
    upstream = None if graph is None else _Upstream(graph, run.evidence.names, separator)
    containers = containers_of(run.evidence.order, separator)
    returned: dict[Tap, list[Tap]] = {}
    found = {}
    for tap in run.evidence.order:
        layer, _, port = tap
        same_tensor = returned.setdefault(run.evidence.same_as.get(tap, tap), [])
        leaves = layer != "" and port.startswith("out")
        if not leaves or layer in containers:
            inside = [one for one in same_tensor if one[0].startswith(layer + separator)] if leaves else same_tensor
            same = outermost(inside, layer, separator)
            made = (same,) if same is not None else () if upstream is None else upstream.of(tap)
            if made:
                found[tap] = made
        if leaves:
            same_tensor.append(tap)
    return found


def connections_by_graph(graph: Graph, separator: str) -> tuple[Connection, ...]:
    """The same by a graph alone, without a run."""
    upstream = _Upstream(graph, {}, separator)
    containers = containers_of(graph.taps, separator)
    ends = [("", 0, f"out{number}") for number in range(len(graph.outputs))]
    found = []
    for tap in dict.fromkeys((*graph.taps, *ends)):
        if not (tap[0] and tap[2].startswith("out")) or tap[0] in containers:
            made = upstream.of(tap)
            if made:
                found.append(Connection(*tap, made))
    return tuple(found)


def containers_of(taps: Iterable[Tap], separator: str) -> set[str]:
    """The layers that hold others."""
    return {above for tap in taps for above in _above(tap[0], separator)}


def outermost(candidates: Sequence[Tap], layer: str, separator: str) -> Tap | None:
    """Of taps that hold the same tensor, the one of the layer that is highest up and does not hold ``layer``.

    Of the same layer the last call.
    """
    outside = [tap for tap in candidates if tap[0] != layer and not layer.startswith(tap[0] + separator)]
    return min(reversed(outside), key=lambda tap: tap[0].count(separator), default=None)


def _above(layer: str, separator: str) -> Iterator[str]:
    while layer := layer.rpartition(separator)[0]:
        yield layer


class _Upstream:
    """A graph, gone back through from a value to the layers that it was made from."""

    def __init__(self, graph: Graph, names: Mapping[str, str], separator: str) -> None:
        self._separator = separator
        self._value_of: dict[Tap, list[str]] = {tap: [value] for tap, value in graph.taps.items()}
        ports = {name: port for port, name in names.items()}
        for number, (name, argument) in enumerate(graph.outputs):
            self._value_of[("", 0, ports.get(name, f"out{number}"))] = list(references(argument))
        self._returned: dict[str, list[Tap]] = {}
        for tap, value in graph.taps.items():
            if tap[0] and tap[2].startswith("out"):
                self._returned.setdefault(value, []).append(tap)
        inputs = [name for name, kind in graph.inputs if kind == "samples"]
        self._inputs: dict[str, Tap] = {name: ("", 0, f"in{number}") for number, name in enumerate(inputs)}
        self._made_from = {
            value: operator.reads for operator in graph.operators for value in operator.outputs if value is not None
        }

    def of(self, tap: Tap) -> tuple[Tap, ...]:
        """The taps from which the value at a tap was made, in the order in which they are met."""
        todo, seen = deque(self._value_of.get(tap, ())), set[str]()
        found: list[Tap] = []
        while todo and len(seen) < _FAR:
            value = todo.popleft()
            if value in seen:
                continue
            seen.add(value)
            returned = outermost(self._returned.get(value, ()), tap[0], self._separator)
            if returned is not None:
                found.append(returned)
            elif value in self._inputs:
                found.append(self._inputs[value])
            else:
                todo += self._made_from.get(value, ())
        return tuple(dict.fromkeys(found))
