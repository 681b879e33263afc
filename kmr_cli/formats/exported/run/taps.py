"""When, during a run, which value is handed over, and from when on it is no longer needed.

What enters a call of a layer is handed over when the call begins (or when it is made, if that is later), what leaves it
when the call has ended (or before it is first taken outside, if that is earlier): operations that work in place change
values in between, and what counts is what the module got and returned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kmr_cli.errors import LayerError
from kmr_cli.formats.exported.describe.description import Description
from kmr_cli.formats.exported.describe.modules import ModuleCall
from kmr_cli.formats.exported.describe.program import references
from kmr_cli.formats.interface import Taps
from kmr_cli.records import LayerInfo


@dataclass(frozen=True)
class Event:
    """One tapped value.

    Attributes:
        moment: ``2 * place`` for before the step at this place, ``2 * place + 1`` for after it.
        value: its name in the graph.
        layer, call, port: the tap.
    """

    moment: int
    value: str
    layer: str
    call: int
    port: str


@dataclass(frozen=True)
class Plan:
    """One kind of run.

    Attributes:
        length: how many steps to run.
        events: by moment.
        unneeded: place of a step -> values that nobody takes after it.
    """

    length: int
    events: Mapping[int, tuple[Event, ...]]
    unneeded: Mapping[int, tuple[str, ...]]


def plan(described: Description, taps: Taps, *, stop: bool) -> Plan:
    """Lay out a run.

    Args:
        described: the program.
        taps: what to hand over.
        stop: end the run after the last of them.

    Raises:
        LayerError: the model has no such layer, or it cannot be tapped.
    """
    events = sorted(_events(described, taps), key=_order)
    nodes = described.program.graph.nodes
    length = len(nodes)
    if stop:
        length = max((event.moment + 1) // 2 for event in events) if events else 0
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
    by_moment: dict[int, list[Event]] = {}
    for event in events:
        by_moment.setdefault(event.moment, []).append(event)
    return Plan(
        length,
        {moment: tuple(found) for moment, found in by_moment.items()},
        {place: tuple(names) for place, names in unneeded.items()},
    )


def _events(described: Description, taps: Taps) -> Iterator[Event]:
    known = {layer.path: layer for layer in described.info.layers}
    for path in dict.fromkeys(taps.layers):
        _check(path, known)
        for call in described.flow.calls.get(path, ()):
            if taps.calls is None or call.number in taps.calls:
                for side in ("in", "out"):
                    if side in taps.sides:
                        yield from _call_events(described, call, side)


def _check(path: str, known: Mapping[str, LayerInfo]) -> None:
    if path not in known:
        raise LayerError(f"no layer {path!r} in the model", "`kmr-inspect layers` lists them")
    if known[path].untappable:
        raise LayerError(f"layer {path!r} cannot be tapped: {known[path].untappable}")


def _call_events(described: Description, call: ModuleCall, side: str) -> Iterator[Event]:
    values = described.flow.port_values(call, side)
    for port, (value, moment) in enumerate(zip(values, _moments(described, call, side, values), strict=True)):
        yield Event(moment, value, call.path, call.number, f"{side}{port}")


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
    return event.moment, depth if side == "in" else -depth, event.call, event.layer, int(event.port[len(side) :])
