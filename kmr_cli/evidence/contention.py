"""Passes that show what ordinary data hide: samples that lose to others which are extreme, or alike, or come first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.arrays.dtypes import discrete
from kmr_cli.arrays.ulp import relative, ulp_distance
from kmr_cli.batch import stress
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.observed import OWNED, Observed, part, routed
from kmr_cli.evidence.taps import Tap
from kmr_cli.evidence.words import slices_text
from kmr_cli.records import BatchIndex

_ELSEWHERE = 1e-3
"""Of the largest value: no kernel's rounding, unless a model makes it larger many times."""


def make_others_extreme(seen: Observed, found: dict[Tap, dict[int, BatchIndex]], sample: int) -> None:
    """Where a sample seems to stand elsewhere than usual, see whether that holds with the others made extreme.

    A maximum over the batch belongs to one sample here and to another there, and ordinary data leave it so.
    """
    odd = [
        tap
        for tap, value in seen.base.items()
        if tap[2].startswith(seen.sides) and _unusual(found[tap][sample], value, sample, seen.size)
    ]
    data = stress.extreme(seen.batch, [sample], seen.session.inputs, seen.rng) if odd else None
    if data is None:
        return
    for batch in (data, stress.mirrored(data, [sample], seen.session.inputs)):
        seen.progress(f"making all samples but {sample} extreme")
        doubtful = {tap: found[tap][sample] for tap in odd if found[tap][sample].kind in OWNED}
        moved = seen.baseline.moved(seen.session, batch, seen.taps, [sample], doubtful, stop=True)
        for tap, index in doubtful.items():
            if tap in seen.baseline.last_pass.rerouted:
                verdict = routed()
            elif tap in moved:
                row = slices_text(sample, index)
                why = f"{row} changed with sample {sample} alone, but also when the others were made extreme"
                verdict = BatchIndex("inconclusive", evidence=why)
            else:
                continue
            # All samples share one index where all owners were found at once.
            found[tap].update({other: verdict for other, known in found[tap].items() if known is index})


def let_others_contend(seen: Observed, found: dict[Tap, dict[int, BatchIndex]], sample: int) -> None:
    """Two passes that show who loses a place to others: an expert that takes so many of a batch, the best of it.

    In one the others all want what this sample wants. In the other the sample stands first in the batch, or last if
    that is where it stood first: who comes before it may take what it would get, whatever the others hold.
    """
    at = {
        tap: index
        for tap, by_sample in found.items()
        if tap[2].startswith(seen.sides) and (index := by_sample[sample]).kind in OWNED and index.axis is not None
    }
    if not at or seen.size < 2:
        return
    verdicts = _beside_copies(seen, at, sample) | _elsewhere(seen, at, sample)
    for tap, verdict in verdicts.items():
        known = at[tap]  # all samples share one index where all owners were found at once
        found[tap].update({other: verdict for other, index in found[tap].items() if index is known})


def _beside_copies(seen: Observed, at: Mapping[Tap, BatchIndex], sample: int) -> dict[Tap, BatchIndex]:
    """Where a sample's part changes once all others are copies of it."""
    leaks: dict[Tap, np.ndarray] = {}

    def look(tap: Tap, array: np.ndarray, _shared: bool) -> None:
        if tap in at:
            before, after = (part(value, at[tap], sample) for value in (seen.base[tap], array))
            if changed(before, after).any():
                leaks[tap] = ulp_distance(before, after)

    seen.progress(f"making the others copies of sample {sample}")
    try:
        seen.baseline.compare(seen.session, stress.alike(seen.batch, sample), seen.taps, look, stop=True)
    except ModelRunError:  # such a batch is outside of what the model takes: nothing is learned
        return {}
    return {tap: seen.judged(tap, BatchIndex("mixed"), leak, sample) for tap, leak in leaks.items()}


def _elsewhere(seen: Observed, at: Mapping[Tap, BatchIndex], sample: int) -> dict[Tap, BatchIndex]:
    """Where a sample holds other values, beyond rounding, once it stands first in the batch, or last."""
    place = 0 if sample else seen.size - 1
    rows = np.roll(np.arange(seen.size), place - sample)
    data = {name: np.ascontiguousarray(np.asarray(values)[rows]) for name, values in seen.batch.items()}
    moved: set[Tap] = set()

    def look(tap: Tap, array: np.ndarray, _shared: bool) -> None:
        there = _same_places(at[tap], sample, place, seen.size) if tap in at else []
        if not there or discrete(array):
            return
        before, after = part(seen.base[tap], at[tap], sample), np.take(array, there, axis=at[tap].axis)
        if relative(before, after, seen.base[tap]) > _ELSEWHERE:
            moved.add(tap)

    seen.progress(f"putting sample {sample} at another place of the batch")
    try:
        seen.baseline.compare(seen.session, data, seen.taps, look, stop=True)
    except ModelRunError:
        return {}
    where = "first" if place == 0 else "last"
    text = f"sample {sample} has other values {where} in the batch: its place, or the samples before it, count"
    return {tap: BatchIndex("inconclusive", evidence=text) for tap in moved - seen.random_taps()} if moved else {}


def _unusual(index: BatchIndex, value: np.ndarray, sample: int, size: int) -> bool:
    """Whether an index claims another place for a sample than its own on axis 0, or has one number to go by."""
    if index.kind not in OWNED:
        return False
    if value.ndim == 1:
        return True
    share = len(index.owners) // size
    return index.axis != 0 or set(index.owners[sample * share : (sample + 1) * share]) != {sample}


def _same_places(index: BatchIndex, sample: int, place: int, size: int) -> list[int]:
    """Where along its axis a sample's slices would lie if it stood at another place of the batch; empty if unknown."""
    own = [slot for slot, owner in enumerate(index.owners) if owner == sample]
    if own == list(range(sample * len(own), (sample + 1) * len(own))):
        return list(range(place * len(own), (place + 1) * len(own)))
    if own == list(range(sample, size * len(own), size)):
        return list(range(place, size * len(own), size))
    return []
