"""Which value of the graph is handed to whom, and in which order."""

from __future__ import annotations

from dataclasses import dataclass

from kmr_cli.errors import LayerError
from kmr_cli.formats.common.graph_layers import Call
from kmr_cli.formats.interface import Taps
from kmr_cli.formats.onnx.describe.analysis import Analysis


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


def events(analysis: Analysis, taps: Taps) -> list[Event]:
    """Every tap as an event: what enters a layer counts when its first node takes it, what leaves it when it is made.

    Raises:
        LayerError: the model has no such layer.
    """
    known = {layer.path: layer for layer in analysis.layers}
    found: list[Event] = []
    for path in dict.fromkeys(taps.layers):
        if path not in known:
            raise LayerError(f"{analysis.path.name}: it has no layer {path!r}", "`kmr-inspect layers` lists them")
        for number, call in enumerate(known[path].calls):
            if taps.calls is None or number in taps.calls:
                found += _of_call(analysis, path, number, call, taps.sides)
    return sorted(found, key=lambda event: (event.number, event.leaves, event.layer, event.call, event.index))


def _of_call(analysis: Analysis, path: str, number: int, call: Call, sides: tuple[str, ...]) -> list[Event]:
    found = []
    if "in" in sides:
        latest = -1
        for index, (value, entered) in enumerate(zip(call.inputs, call.entered, strict=True)):
            latest = max(latest, entered)  # in0 before in1, whichever is taken first
            found.append(Event(latest, False, path, number, index, value))
    if "out" in sides:
        latest = -1
        for index, value in enumerate(call.outputs):
            latest = max(latest, analysis.graph.maker[value].number)
            found.append(Event(latest, True, path, number, index, value))
    return found
