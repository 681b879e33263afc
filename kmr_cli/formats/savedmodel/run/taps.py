"""When, during a run, which tensor is handed to whom.

Every tap is an event: what enters a layer counts when the layer's first operation takes it, what leaves it when it is
made. Events are handed over in that order, in groups of a few megabytes: one at a time would cost more in calls from
TensorFlow into Python than small layers take to run; all at the end would hold every activation at once, which is
slower still (no buffer is used twice) and needs the memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from kmr_cli.errors import LayerError
from kmr_cli.formats.interface import Taps
from kmr_cli.formats.savedmodel.describe import dtypes
from kmr_cli.formats.savedmodel.describe.analysis import Analysis
from kmr_cli.formats.savedmodel.describe.graph import producer

GROUP_BYTES = 4 << 20
"""What a group holds: few enough calls for a small batch, and still about what a core's cache holds."""
LARGE_BYTES = 2 << 20
"""A tensor of this size ends its group: the next operation can then reuse its memory, as it would untapped."""
GROUP_EVENTS = 64


@dataclass(frozen=True)
class Event:
    """One tapped value: ``tensor`` becomes ``(layer, call, port)`` when the node of this rank runs."""

    rank: int
    tensor: str
    layer: str
    call: int
    port: str


@dataclass(frozen=True)
class Group:
    """Events that are handed over together.

    Attributes:
        tensors: each once, in the order of first use.
        events: in order.
        level: highest rank of the nodes that make the tensors of this group and of those before it.
    """

    tensors: tuple[str, ...]
    events: tuple[Event, ...]
    level: int


def events(analysis: Analysis, taps: Taps) -> list[Event]:
    """Every tap as an event, in the order in which they are handed over.

    Raises:
        LayerError: the model has no such layer, or it cannot be tapped.
    """
    known = {layer.path: layer for layer in analysis.layers}
    name = analysis.source.path.name
    rank = analysis.flow.rank
    found: list[Event] = []
    for path in dict.fromkeys(taps.layers):
        layer = known.get(path)
        if layer is None:
            raise LayerError(f"{name}: it has no layer {path!r}", "`kmr-inspect layers` lists them")
        if layer.untappable is not None:
            raise LayerError(f"{name}: {path!r} cannot be tapped: {layer.untappable}")
        for index, call in enumerate(layer.calls):
            if taps.calls is not None and index not in taps.calls:
                continue
            if "in" in taps.sides:
                # A buffer is free the sooner, the sooner its value is handed over; but calls must stay in order.
                ranks: Sequence[int] = (
                    call.entered if len(layer.calls) > 1 else [rank[producer(one)] for one in call.inputs]
                )
                ranks = list(accumulate(ranks, max))  # in0 before in1, whichever was made first
                found += [
                    Event(when, tensor, path, index, f"in{port}")
                    for port, (tensor, when) in enumerate(zip(call.inputs, ranks, strict=True))
                ]
            if "out" in taps.sides:
                found += [
                    Event(rank[producer(tensor)], tensor, path, index, f"out{port}")
                    for port, tensor in enumerate(call.outputs)
                ]
    return sorted(found, key=_event_key)


def _event_key(event: Event) -> tuple[int, bool, str, int, int]:
    digits = event.port.lstrip("inout")
    return event.rank, event.port.startswith("out"), event.layer, event.call, int(digits)


def groups(analysis: Analysis, found: Sequence[Event], batch_size: int) -> list[Group]:
    """Cut the events into groups of about :data:`GROUP_BYTES`, as far as the file tells the tensors' sizes.

    What one layer returns and the next one takes is mostly the same tensor: such events stay together.
    """
    rank = analysis.flow.rank
    cut: list[Group] = []
    pending: list[Event] = []
    held: dict[str, None] = {}
    size, level, full = 0, -1, False
    for event in found:
        if full and event.tensor not in held:
            cut.append(Group(tuple(held), tuple(pending), level))
            pending, held, size, full = [], {}, 0, False
        pending.append(event)
        level = max(level, rank[producer(event.tensor)])
        if event.tensor not in held:
            held[event.tensor] = None
            width = _bytes(analysis, event.tensor, batch_size)
            size += width
            full = full or width >= LARGE_BYTES or size >= GROUP_BYTES or len(held) >= GROUP_EVENTS
    if pending:
        cut.append(Group(tuple(held), tuple(pending), level))
    return cut


def _bytes(analysis: Analysis, tensor: str, batch_size: int) -> int:
    shape = analysis.shape(tensor)
    if shape is None:
        return GROUP_BYTES  # could be anything: hand it over by itself
    number = analysis.graph.dtype(tensor)
    name = dtypes.name(number) if number is not None else None
    try:
        width = np.dtype(name).itemsize if name else 4
    except TypeError:  # text, bfloat16, float8
        width = 4
    return width * math.prod(batch_size if dim is None else dim for dim in shape)
