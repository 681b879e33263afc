"""Values that others move in their last bits alone, as rows in other groups do: a mix doesn't begin there."""

from __future__ import annotations

from functools import partial

import numpy as np

from kmr_cli.arrays.changes import differs
from kmr_cli.arrays.ulp import FAR, largest, last_bits, scaled_distance
from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.taps import Tap, watch
from kmr_cli.records import Batch

PASSES = 2
"""Of :func:`find_last_bits`."""


def find_last_bits(run: Run, spare: Batch | None) -> None:
    """Two passes that measure how far others move what is mixed, where rows are routed before an output mixes.

    Every second sample is replaced, and then all the others. Fills in ``in_last_bits``, if they move an output further.
    """
    size = run.evidence.size
    if size < 2 or not _is_asked(run):
        return
    run.fill()
    far = {tap: ulp for tap, ulp in run.moved_by_extreme.items() if tap[0]}
    for rest in (0, 1):
        samples = [sample for sample in range(size) if sample % 2 == rest]
        kept = [sample for sample in range(size) if sample % 2 != rest]

        def measure(data: Batch, kept: list[int] = kept) -> None:
            watch(run.session, data, run.taps, partial(_measure, run, kept, far))

        try:
            run.try_other("telling a mix from last bits", samples, spare, measure)
        except ModelRunError:
            return
    bits = {tap: run.evidence.specs[tap].dtype.itemsize for tap in run.evidence.order}
    if any(not tap[0] and not last_bits(ulp, bits[tap]) for tap, ulp in far.items()):
        mixed = [tap for tap in run.evidence.order if run.mixed(tap)]
        run.in_last_bits = {tap for tap in mixed if not far.get(tap) or last_bits(far[tap], bits[tap])}


def _is_asked(run: Run) -> bool:
    """Whether an output is mixed, and that may begin after a layer of which only the last bits are."""
    return any(run.mixed(tap) and not run.rounded(tap) for tap in run.outputs) and any(
        run.after_router(source) for source in run.sources(run.entangled)
    )


def _measure(
    run: Run, kept: list[int], far: dict[Tap, int], layer: str, call: int, port: str, array: np.ndarray
) -> None:
    """How far the rows of the samples that are ``kept`` moved, in units of the largest value of a tap that is mixed."""
    tap, size = (layer, call, port), run.evidence.size
    before = run.evidence.base.get(tap)
    if before is None or tap not in run.indices or not run.mixed(tap):
        return
    if array.shape != before.shape or not array.ndim or not len(array) or len(array) % size:
        far[tap] = FAR
        return
    old, new = (np.ascontiguousarray(value).reshape(size, -1)[kept] for value in (before, array))
    if differs(old, new):
        far[tap] = max(far.get(tap, 0), int(scaled_distance(old, new, largest(before)).max(initial=0)) or FAR)
