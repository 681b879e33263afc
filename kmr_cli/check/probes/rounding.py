"""Is a difference at another batch size the model's mistake, or rounding that the model makes larger?

Some models, deep ones with random weights above all, are so sensitive that the last bit of an input moves their
outputs as far as another input would. Kernels round differently at another batch size, so such a model gives other
answers there, though no sample ever meets another. Two things tell it from a mistake: the same batch with the last
bits of its floats changed moves the outputs as far, and the difference grows from layer to layer out of rounding. A
mistake leaps: right values enter a layer, or nearly so, and wrong ones leave it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kmr_cli.arrays.dtypes import discrete
from kmr_cli.arrays.ulp import relative
from kmr_cli.batch import stress
from kmr_cli.batch.given import batch_size
from kmr_cli.check.observed import SizeRun
from kmr_cli.check.probes.resized import beyond_rounding, expected_at, resized
from kmr_cli.check.run import Run
from kmr_cli.evidence.taps import Tap, watch
from kmr_cli.formats.interface import ignored

_OF_THE_SAME_KIND = 16.0
"""Rounding happens in every layer and the control moves the input alone: a difference so many times as large as the
control's is still of its kind."""
_LEAP = 1000.0
"""No layer makes a difference so many times larger by rounding alone."""
_ROUNDING = 2.0**-20
"""Relative: what a kernel may add by itself, of the largest value of its output, in float32 and better."""


def excuse(run: Run, found: SizeRun, *, look: bool = True) -> SizeRun:
    """The same, without the difference in values if that is amplified rounding. Takes two passes at most.

    Args:
        run: the check.
        found: what a batch of another size showed.
        look: see where the difference begins; without it the model is known to amplify from an earlier size.
    """
    if found.differs is None or not any(map(math.isfinite, found.off.values())):
        return found
    if run.moved_by_rounding is None:
        run.moved_by_rounding = _move_last_bits(run)
    far = [
        port for port, off in found.off.items() if not off <= _OF_THE_SAME_KIND * run.moved_by_rounding.get(port, 0.0)
    ]
    if far:
        return replace(found, differs=(far[0], beyond_rounding(far[0], found.names)))
    if look and _leaps(run, found.rows):
        return found
    return replace(found, differs=None, amplified=found.differs[0])


def _move_last_bits(run: Run) -> dict[str, float]:
    """Output port -> how far the last bits of the input move it, in terms of its largest value; only finite ones."""
    data = stress.shaken(run.batch, run.session.inputs, run.rng)
    if data is None:
        return {}
    run.step("changing the last bits of the input")
    outputs = run.session.capture(data, run.taps, ignored)
    assert outputs is not None
    before = {tap[2]: run.evidence.base[tap] for tap in run.outputs}
    after = {f"out{number}": np.asarray(value) for number, value in enumerate(outputs.values())}
    moved = {port: relative(before[port], value) for port, value in after.items() if value.shape == before[port].shape}
    return {port: off for port, off in moved.items() if math.isfinite(off)}


def _leaps(run: Run, rows: Sequence[int]) -> bool:
    """Whether the difference in a batch of these appears at once somewhere, rather than growing out of rounding."""
    run.fill()
    run.step(f"looking inside at a batch of {len(rows)}")
    whole = batch_size(run.batch)
    largest = 0.0  # of all that ran so far
    entered: dict[tuple[str, int], float] = {}
    leaped = False

    def look(layer: str, call: int, port: str, array: np.ndarray) -> None:
        nonlocal largest, leaped
        tap: Tap = (layer, call, port)
        if tap not in run.indices or discrete(array):
            return
        expected = expected_at(run.evidence.base[tap], run.indices[tap], whole, rows)
        if expected is None:
            return
        off = relative(expected, array, run.evidence.base[tap]) if expected.shape == array.shape else math.inf
        here = (layer, call)
        before = largest
        if layer and port.startswith("in"):
            entered[here] = max(off, entered.get(here, 0.0))
        elif layer and here in entered:
            before = entered[here]
        leaped |= not off <= _LEAP * max(before, _ROUNDING)
        largest = max(largest, off)

    watch(run.session, resized(run.batch, rows), run.taps, look)
    return leaped
