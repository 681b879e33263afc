"""How two taps differ, from the whole tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.compare.difference import FAR, Kind, Parts, TapDifference, badness
from kmr_cli.records import TapSketch
from kmr_cli.snapshot.sketch import checksum, groups_of


def exactly(
    now: np.ndarray, before: np.ndarray, model: TapSketch, baseline: TapSketch, size: int,
    tolerance: tuple[float, float], *, any_layout: bool,
) -> TapDifference:  # fmt: skip
    """What two whole tensors tell; the other arguments as for :func:`kmr_cli.compare.differ.differ`."""
    now, before = _samples_first(now, model), _samples_first(before, baseline)
    fitting = [layout for layout in (_layouts(now) if any_layout else [now]) if layout.shape == before.shape]
    if not fitting:
        return TapDifference("shape", exact=True, moved=sorted(now.shape) == sorted(before.shape))
    best: TapDifference | None = None
    for layout in fitting:
        found = _values_differ(layout, before, model, size, tolerance)
        if layout is not now:
            found = replace(found, moved=True)
        best = found if best is None else min(best, found, key=badness)
        if best.kind in ("same", "close"):
            return best
    assert best is not None
    return replace(best, kind="reordered") if _same_sorted(now, before, tolerance) else best


def _values_differ(
    now: np.ndarray, before: np.ndarray, model: TapSketch, size: int, tolerance: tuple[float, float]
) -> TapDifference:
    if now.dtype == before.dtype and not changed(before, now).any():
        return TapDifference("same", exact=True)
    rtol, atol = tolerance
    parts = Parts()
    for samples, mine, yours in _rows(now, before, model, size):
        distance, scale = _largest(mine, yours)
        allowed = atol + rtol * scale
        kind: Kind = "off" if distance > allowed else "close"
        parts.add(samples if distance else (), TapDifference(kind, (), distance, allowed, scale, exact=True))
    return parts.together() or TapDifference("close", exact=True)  # other dtypes, and no element


def _rows(
    now: np.ndarray, before: np.ndarray, model: TapSketch, size: int
) -> Iterator[tuple[Sequence[int], np.ndarray, np.ndarray]]:
    """The samples' parts, or everything at once where they cannot be separated."""
    share = len(now) // size if now.ndim and len(now) % size == 0 else 0
    if len(model.samples) == 1 or not share:
        yield (0,) if size == 1 else (), now, before
        return
    # Each sample's slices lie together, or one of every sample in turn: its checksum tells which.
    first = groups_of(size)[0]
    strided = share > 1 and checksum(now[: len(first) * share]) != model.samples[0].bits
    for sample in range(size):
        mine = slice(sample, None, size) if strided else slice(sample * share, (sample + 1) * share)
        yield (sample,), now[mine], before[mine]


def _largest(now: np.ndarray, before: np.ndarray) -> tuple[float, float]:
    """Largest absolute difference and largest absolute value; infinitely far where NaN or Inf stand elsewhere."""
    if now.dtype.kind in "SUO" or before.dtype.kind in "SUO":
        return (0.0 if np.array_equal(now, before) else FAR), 0.0
    wide = np.complex128 if "c" in (now.dtype.kind, before.dtype.kind) else np.float64
    first, second = now.astype(wide), before.astype(wide)
    finite = np.isfinite(second)
    with np.errstate(over="ignore"):
        scale = float(np.abs(second[finite]).max(initial=0.0))
        if not np.array_equal(finite, np.isfinite(first)) or changed(first[~finite], second[~finite]).any():
            return FAR, scale
        distance = float(np.abs(first[finite] - second[finite]).max(initial=0.0))
    if distance == 0 and now.dtype == before.dtype and now.dtype.kind in "iu":
        # Integers beyond 2**53 may differ where their float64 do not.
        distance = float((now != before).any())
    return distance, scale


def _samples_first(value: np.ndarray, tap: TapSketch) -> np.ndarray:
    return value if tap.axis in (None, 0) else np.moveaxis(value, tap.axis, 0)


def _layouts(value: np.ndarray) -> Iterator[np.ndarray]:
    """As it is, and with the channels moved from last to first or from first to last (of one sample's axes)."""
    yield value
    if value.ndim > 2:
        yield np.moveaxis(value, -1, 1)
        yield np.moveaxis(value, 1, -1)


def _same_sorted(now: np.ndarray, before: np.ndarray, tolerance: tuple[float, float]) -> bool:
    """Whether every sample holds the same values in a different order."""
    if now.dtype.kind in "cSUO" or before.dtype.kind in "cSUO" or now.ndim == 0 or now.size < 2 * len(now):
        return False
    rtol, atol = tolerance
    first, second = (np.sort(a.astype(np.float64).reshape(len(a), -1), axis=1) for a in (now, before))
    if first.shape != second.shape:
        return False
    distance, scale = _largest(first, second)
    with np.errstate(invalid="ignore", over="ignore"):
        spread = float(np.ptp(second))
    # Values that happen to lie close together once sorted aren't evidence: the order must account for most of it.
    return distance <= atol + rtol * scale and spread > 10 * (atol + rtol * scale)
