"""Samples that stand in two batches of one size, beside others: what of theirs differs?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from kmr_cli.arrays.changes import differs
from kmr_cli.arrays.ulp import FAR, largest, last_bits, scaled_distance
from kmr_cli.check.probes.lists import Elements, by_port, taps_of
from kmr_cli.check.probes.resized import places_of
from kmr_cli.check.run import Run
from kmr_cli.evidence.taps import Tap
from kmr_cli.records import BatchIndex

Returned: TypeAlias = "tuple[Mapping[str, np.ndarray], Elements]"
"""What a pass returned, by name, and in whose element of a list each output is."""


def leaks_at(
    run: Run,
    size: int,
    kept: Collection[int],
    outputs: Mapping[Tap, tuple[np.ndarray, BatchIndex]],
    before: Returned,
    after: Returned,
) -> list[Tap]:
    """Outputs that changed at places that hold the same in two passes.

    Args:
        run: the check.
        size: of both batches.
        kept: these places.
        outputs: what can be compared -> its value in the batch of the check, and whose every slice is there.
        before: of one pass.
        after: of the other.
    """
    first, second = by_port(run, *before), by_port(run, *after)
    leaks = []
    for tap, (value, index) in outputs.items():
        port = tap[2]
        if index.kind == "constant" or port not in first or port not in second:  # whose is what is only supposed
            continue
        places = places_of(index, value.shape, run.evidence.size, size, kept)
        if places and moved(run, first[port], second[port], index.axis or 0, places):
            leaks.append(tap)
    return leaks


def leaks_in_lists(run: Run, samples: Mapping[int, int], before: Returned, after: Returned) -> Iterator[Tap]:
    """Outputs in a sample's own element of a list that changed though it was kept.

    Args:
        run: the check.
        samples: place that holds the same in both passes -> which sample of the check stands there.
        before: of one pass.
        after: of the other.
    """
    (values, elements), (others, now) = before, after
    for place, sample in samples.items():
        for tap, old, new in zip(taps_of(run, sample), elements.get(place, []), now.get(place, []), strict=False):
            first, second = values[old], others[new]
            if run.in_own_element(tap) and (first.shape != second.shape or _differ(run, first, second, first)):
                yield tap


def moved(run: Run, before: np.ndarray, after: np.ndarray, axis: int, places: Sequence[int]) -> bool:
    """Whether slices changed that should not have; where rows are routed, by more than their last bits."""
    if before.shape != after.shape:
        return True
    return _differ(run, np.take(before, places, axis), np.take(after, places, axis), before)


def _differ(run: Run, old: np.ndarray, new: np.ndarray, beside: np.ndarray) -> bool:
    """Whether values differ; where rows are routed, by more than last bits of the largest value of ``beside``.

    Where no pass showed that they are, of the largest of their own.
    """
    if not differs(old, new):
        return False
    far = int(scaled_distance(old, new, largest(beside if run.seen_to_route else old)).max(initial=0)) or FAR
    return not (run.routes and last_bits(far, old.dtype.itemsize))
