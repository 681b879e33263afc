"""That a pass leaves no trace: in the session, in the caller's arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from kmr_cli.formats.conformance.compare import ConformanceError, Values, demand, equal, same_outputs, same_values
from kmr_cli.formats.conformance.example import Opened
from kmr_cli.formats.conformance.rule import Rule, rule
from kmr_cli.records import Tap

TRACE: list[Rule] = []


class _MineError(Exception):
    """What a sink of ours raises."""


@rule(TRACE)
def what_a_sink_raises_arrives_and_leaves_no_trace(found: Opened) -> None:
    """An exception of the sink ends the pass, reaches the caller as the same object, and nothing stays behind."""
    error, calls = _MineError("unchanged"), []

    def refuse(layer: str, *_: Any) -> None:
        calls.append(layer)
        if len(calls) == 1:
            raise error

    before = found.whole
    try:
        found.session.capture(found.example.batch, found.everything, refuse)
    except Exception as exc:
        demand(exc is error, f"the sink's exception arrives as another one: {type(exc).__name__}: {exc}")
    else:
        raise ConformanceError("the sink's exception does not arrive")
    demand(len(calls) == 1, f"the sink raised, and was called {len(calls) - 1} times more")
    values, outputs = found.run(found.everything)
    same_values(values, before[0], "after a sink that raised")
    same_outputs(outputs, before[1], "after a sink that raised")
    demand(len(calls) == 1, "a later pass still calls the sink of an earlier one")


@rule(TRACE)
def sinks_cannot_reach_into_the_model(found: Opened) -> None:
    """What a sink gets is read-only, or writing to it changes nothing: neither later values nor the outputs."""
    values: Values = {}

    def scribble(layer: str, call: int, port: str, array: np.ndarray) -> None:
        values[layer, call, port] = np.array(array)
        if array.flags.writeable and not array.dtype.hasobject:
            array[...] = 0

    outputs = found.session.capture(found.example.batch, found.everything, scribble)
    demand(outputs is not None, "a pass that was not to stop returned None instead of the outputs")
    assert outputs is not None
    same_values(values, found.whole[0], "with a sink that writes to what it gets")
    same_outputs(outputs, found.whole[1], "with a sink that writes to what it gets")


@rule(TRACE)
def inputs_are_copied(found: Opened) -> None:
    """The caller's arrays are not written to, not shared with what sinks get, and may lie at any address."""
    before = found.whole
    batch = {name: _at_odd_address(rows) for name, rows in found.given.items()}
    shared: list[Tap] = []

    def look(layer: str, call: int, port: str, array: np.ndarray) -> None:
        if any(np.may_share_memory(array, rows) for rows in batch.values()):
            shared.append((layer, call, port))

    found.session.capture(batch, found.everything, look)
    demand(not shared, f"{shared[:1]} shows memory of the caller's arrays")
    for name, rows in found.given.items():
        whole = equal(batch[name], rows) and equal(np.asarray(found.example.batch[name]), rows)
        demand(whole, f"the caller's array {name!r} was written to")
    for rows in batch.values():
        rows.flags.writeable = False
    try:
        values, outputs = found.run(found.everything, batch=batch)
    except Exception as exc:
        raise ConformanceError(f"inputs that cannot be written to: {type(exc).__name__}: {exc}") from exc
    same_values(values, before[0], "with inputs at another address")
    same_outputs(outputs, before[1], "with inputs at another address")


def _at_odd_address(rows: np.ndarray) -> np.ndarray:
    """A copy that lies 4 bytes off a multiple of 64."""
    if rows.dtype.hasobject:
        return np.array(rows)
    buffer = np.empty(rows.nbytes + 128, np.uint8)
    start = -buffer.ctypes.data % 64 + 4
    copy: np.ndarray = buffer[start : start + rows.nbytes].view(rows.dtype).reshape(rows.shape)
    copy[...] = rows
    return copy
