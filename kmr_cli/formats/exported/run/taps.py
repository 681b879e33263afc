"""When, during a run, which value is handed over, and from when on it is no longer needed.

What enters a call of a layer is handed over when the call begins (or when it is made, if that is later), what leaves it
when the call has ended (or before it is first taken outside, if that is earlier): operations that work in place change
values in between, and what counts is what the module got and returned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kmr_cli.errors import LayerError
from kmr_cli.formats.exported.describe.calls import ModuleCall
from kmr_cli.formats.exported.describe.description import Description
from kmr_cli.formats.exported.describe.program import Graph, Node, references
from kmr_cli.formats.interface import Taps
from kmr_cli.records import LayerInfo


@dataclass(frozen=True)
class Event:
    """One tapped value.

    Attributes:
        moment: ``2 * place`` for before the step at this place, ``2 * place + 1`` for after it.
        value: its name in the graph.
        layer, call, port: the tap; None for the call where a run alone tells its number.
        source: tells the calls of the file apart.
        opens: it is the first event of its call: the number is given now.
    """

    moment: int
    value: str
    layer: str
    call: int | None
    port: str
    source: int = 0
    opens: bool = False


@dataclass(frozen=True)
class Plan:
    """One kind of run.

    Attributes:
        length: how many steps to run.
        events: by moment.
        unneeded: place of a step -> values that nobody takes after it.
        inside: the same as ``events`` for graphs that operators run, by their identity.
        calls: of the layers whose calls a run numbers, only these are wanted; None for all.
    """

    length: int
    events: Mapping[int, tuple[Event, ...]]
    unneeded: Mapping[int, tuple[str, ...]]
    inside: Mapping[int, Mapping[int, tuple[Event, ...]]]
    calls: tuple[int, ...] | None = None


def plan(described: Description, taps: Taps, *, stop: bool) -> Plan:
    """Lay out a run.

    Args:
        described: the program.
        taps: what to hand over.
        stop: end the run after the last of them.

    Raises:
        LayerError: the model has no such layer, or it cannot be tapped.
    """
    events = _opened(sorted(_events(described, taps), key=_order))
    inner = {place: _opened(sorted(found, key=_order)) for place, found in _inner_events(described, taps).items()}
    nodes = described.program.graph.nodes
    length = len(nodes)
    if stop:
        ends = [(event.moment + 1) // 2 for event in events]
        ends += [rank + 1 for rank, node in enumerate(nodes) if any(id(graph) in inner for graph in _graphs(node))]
        length = max(ends, default=0)
    last: dict[str, int] = {}
    for place, node in enumerate(nodes[:length]):
        last.update(dict.fromkeys((*node.makes, *node.uses), place))
    for event in events:
        last[event.value] = max(last.get(event.value, 0), event.moment // 2)
    kept = set() if stop else {name for one in described.program.outputs for name in references(one.value)}
    unneeded: dict[int, list[str]] = {}
    for name, place in last.items():
        if name not in kept:
            unneeded.setdefault(place, []).append(name)
    return Plan(
        length,
        _by_moment(events),
        {place: tuple(names) for place, names in unneeded.items()},
        {place: _by_moment(found) for place, found in inner.items()},
        taps.calls,
    )


def _graphs(node: Node) -> Iterator[Graph]:
    """The graphs that a node runs, and those inside them."""
    for graph in node.graphs:
        yield graph
        for inner in graph.nodes:
            yield from _graphs(inner)


def _by_moment(events: Sequence[Event]) -> dict[int, tuple[Event, ...]]:
    found: dict[int, list[Event]] = {}
    for event in events:
        found.setdefault(event.moment, []).append(event)
    return {moment: tuple(listed) for moment, listed in found.items()}


def _opened(events: Sequence[Event]) -> list[Event]:
    """The events with the first one of every call marked."""
    seen: set[int] = set()
    found = []
    for event in events:
        found.append(replace(event, opens=event.source not in seen))
        seen.add(event.source)
    return found


def _events(described: Description, taps: Taps) -> Iterator[Event]:
    known = {layer.path: layer for layer in described.info.layers}
    for path in dict.fromkeys(taps.layers):
        _check(path, known)
        for call in described.flow.calls.get(path, ()):
            if path in described.flow.inner or taps.calls is None or call.number in taps.calls:
                for side in ("in", "out"):
                    if side in taps.sides:
                        yield from _call_events(described, call, side)


def _inner_events(described: Description, taps: Taps) -> dict[int, list[Event]]:
    """What is tapped inside of branches and loops: identity of the graph -> events."""
    found: dict[int, list[Event]] = {}
    for path in dict.fromkeys(taps.layers):
        for call in described.flow.inner.get(path, ()):
            moments = {
                "in": [(value, 2 * rank) for value, rank in call.inputs.items()],
                "out": [(value, 2 * rank + 1) for value, rank in call.outputs.items()],
            }
            for side in taps.sides:
                for port, (value, moment) in enumerate(moments[side]):
                    event = Event(moment, value, path, None, f"{side}{port}", id(call))
                    found.setdefault(id(call.graph), []).append(event)
    return found


def _check(path: str, known: Mapping[str, LayerInfo]) -> None:
    if path not in known:
        raise LayerError(f"no layer {path!r} in the model", "`kmr-inspect layers` lists them")
    if known[path].untappable:
        raise LayerError(f"layer {path!r} cannot be tapped: {known[path].untappable}")


def _call_events(described: Description, call: ModuleCall, side: str) -> Iterator[Event]:
    values = described.flow.port_values(call, side)
    for port, (value, moment) in enumerate(zip(values, _moments(described, call, side, values), strict=True)):
        number = None if call.path in described.flow.inner else call.number
        yield Event(moment, value, call.path, number, f"{side}{port}", id(call))


def _moments(described: Description, call: ModuleCall, side: str, values: Sequence[str]) -> Iterator[int]:
    makers = described.flow.makers
    moment = 0
    for value in values:
        made = makers.get(value, -1)
        if side == "in":
            place = call.first if made < call.first else call.inputs[value]
            moment = max(moment, 2 * place)  # in0 before in1, whichever was made first
        else:
            place = min(call.last, call.outputs[value] - 1)
            moment = max(moment, 2 * max(place, made) + 1)
        yield moment


def _order(event: Event) -> tuple[int, int, int, str, int]:
    """In time; what begins at the same moment from the outside in, what ends from the inside out."""
    depth = event.layer.count(".")
    side = event.port.rstrip("0123456789")
    number = -1 if event.call is None else event.call
    return event.moment, depth if side == "in" else -depth, number, event.layer, int(event.port[len(side) :])
