"""Which value of the graph is handed to whom, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kmr_cli.errors import LayerError
from kmr_cli.formats.common.graph_layers import Call, Layer
from kmr_cli.formats.interface import Sink, Taps
from kmr_cli.formats.onnx.describe.analysis import Analysis
from kmr_cli.formats.onnx.describe.bodies import Body, Place
from kmr_cli.formats.onnx.describe.flow import Flow


@dataclass(frozen=True)
class Within:
    """A value inside a loop or a branch: it has as many contents as that runs.

    Attributes:
        place: of the body.
        name: of the value in there.
    """

    place: Place
    name: str


@dataclass(frozen=True)
class Found:
    """What a pass gave.

    Attributes:
        parts: value -> its parts, each with the suffix of its port.
        inside: value inside a loop or branch -> its content in every run; without those that aren't tensors.
    """

    parts: Mapping[str, Sequence[tuple[str, np.ndarray]]]
    inside: Mapping[Within, Sequence[np.ndarray]]


@dataclass(frozen=True)
class Event:
    """One tapped value: ``value`` becomes ``(layer, call, port)`` when the node of this number runs."""

    number: int
    leaves: bool
    layer: str
    call: int
    index: int
    value: str

    @property
    def port(self) -> str:
        """``in0``, ``out1``."""
        return f"{'out' if self.leaves else 'in'}{self.index}"

    @property
    def order(self) -> tuple[object, ...]:
        """Events of one graph are sorted by it."""
        return self.number, self.leaves, self.layer, self.call, self.index

    @property
    def values(self) -> tuple[str, ...]:
        """What it observes."""
        return (self.value,)

    def deliver(self, found: Found, sink: Sink) -> None:
        """Hand its value to the sink."""
        for suffix, array in found.parts[self.value]:
            sink(self.layer, self.call, self.port + suffix, array)


@dataclass(frozen=True)
class Runs:
    """The tapped values of one body, run by run.

    Attributes:
        place: of the body.
        events: in the order of one run; their calls count within it.
        each: how often a layer is called in one run.
        calls: those that are wanted, counted over all runs; None for every one.
    """

    place: Place
    events: tuple[Event, ...]
    each: Mapping[str, int]
    calls: tuple[int, ...] | None

    @property
    def values(self) -> tuple[Within, ...]:
        """What they observe."""
        return tuple(Within(self.place, event.value) for event in self.events)

    def deliver(self, found: Found, sink: Sink) -> None:
        """Hand the values of all runs to the sink. What isn't a tensor is left out."""
        contents = [found.inside.get(value, ()) for value in self.values]
        ports = [event.port for event in self.events]
        for run in range(max(map(len, contents), default=0)):
            for event, port, arrays in zip(self.events, ports, contents, strict=True):
                call = run * self.each[event.layer] + event.call
                if run < len(arrays) and (self.calls is None or call in self.calls):
                    sink(event.layer, call, port, arrays[run])


def events(analysis: Analysis, taps: Taps) -> list[Event | Runs]:
    """Every tap as an event: what enters a layer counts when its first node takes it, what leaves it when it is made.

    What is observed inside a loop or a branch stands before what leaves that, the innermost first.

    Raises:
        LayerError: the model has no such layer.
    """
    known: dict[str, tuple[Layer, Body | None]] = {layer.path: (layer, None) for layer in analysis.layers}
    known |= {layer.path: (layer, body) for body in analysis.bodies for layer in body.layers}
    outside: list[Event] = []
    inside: dict[Place, tuple[list[Event], dict[str, int]]] = {}
    for path in dict.fromkeys(taps.layers):
        if path not in known:
            raise LayerError(f"{analysis.path.name}: it has no layer {path!r}", "`kmr-inspect layers` lists them")
        layer, body = known[path]
        for number, call in enumerate(layer.calls):
            if body is not None:
                listed, each = inside.setdefault(body.place, ([], {}))
                listed += _of_call(body.graph, path, number, call, taps.sides)
                each[path] = len(layer.calls)
            elif taps.calls is None or number in taps.calls:
                outside += _of_call(analysis.graph, path, number, call, taps.sides)
    runs = [
        Runs(place, tuple(sorted(listed, key=lambda event: event.order)), each, taps.calls)
        for place, (listed, each) in sorted(inside.items(), key=lambda item: (-len(item[0]), item[0]))
        if listed
    ]
    return list(_merged(sorted(outside, key=lambda event: event.order), runs))


def _merged(outside: Sequence[Event], runs: Sequence[Runs]) -> Iterator[Event | Runs]:
    waiting = sorted(runs, key=lambda one: one.place[0][0])  # stable: innermost first
    for event in outside:
        while waiting and (waiting[0].place[0][0], False) < (event.number, event.leaves):
            yield waiting.pop(0)
        yield event
    yield from waiting


def _of_call(graph: Flow, path: str, number: int, call: Call, sides: tuple[str, ...]) -> Iterator[Event]:
    if "in" in sides:
        latest = -1
        for index, (value, entered) in enumerate(zip(call.inputs, call.entered, strict=True)):
            latest = max(latest, entered)  # in0 before in1, whichever is taken first
            yield Event(latest, False, path, number, index, value)
    if "out" in sides:
        latest = -1
        for index, value in enumerate(call.outputs):
            latest = max(latest, graph.maker[value].number)
            yield Event(latest, True, path, number, index, value)
