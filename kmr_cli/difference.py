"""How one tap of a model differs from its counterpart in a baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from kmr_cli.batch_index import changed
from kmr_cli.records import SampleSketch, TapSketch
from kmr_cli.sketch import estimated_rms, groups_of

Values: TypeAlias = Callable[[TapSketch], np.ndarray]
"""The whole tensor at a tap."""
Kind: TypeAlias = Literal["same", "close", "off", "reordered", "shape", "unknown"]

_SAME_FIGURES = 1e-5
"""Relative: minimum, maximum, mean and rms of the same values in another order agree that well."""
_MANY = 16
"""Elements from which on four agreeing figures are no chance."""


@dataclass(frozen=True)
class TapDifference:
    """What the content of two taps says.

    Attributes:
        kind: ``same`` (bit for bit), ``close`` (within the tolerance), ``off`` (beyond it), ``reordered`` (the same
            values in another order), ``shape`` (another shape), ``unknown`` (nothing can be said: chance is at work).
        where: samples that are off, or differ if none is off; empty where they cannot be told apart.
        size: the largest absolute difference, or the estimated root mean square of it where only sketches are at hand.
        tolerance: what is allowed, in the same terms.
        scale: what rtol refers to: the largest absolute value, or the root mean square.
        exact: from whole tensors.
        moved: the axes stand in another order, which was undone before values were compared.
    """

    kind: Kind
    where: tuple[int, ...] = ()
    size: float = 0.0
    tolerance: float = 0.0
    scale: float = 0.0
    exact: bool = False
    moved: bool = False


def differ(
    model: TapSketch,
    baseline: TapSketch,
    size: int,
    tolerance: tuple[float, float],
    *,
    values: tuple[Values, Values] | None = None,
    any_layout: bool = False,
) -> TapDifference:
    """Compare two taps.

    Args:
        model: the tap.
        baseline: its counterpart.
        size: samples in the batch.
        tolerance: (rtol, atol).
        values: where the whole tensors are, for an exact comparison.
        any_layout: channels may stand first in one and last in the other.
    """
    if model.random or baseline.random:
        return TapDifference("unknown")
    if values is not None:
        return _exactly(values[0](model), values[1](baseline), model, baseline, size, tolerance, any_layout=any_layout)
    if model.shape != baseline.shape or model.count != baseline.count:
        return TapDifference("shape", moved=_permuted(model.shape, baseline.shape))
    return _by_sketches(model, baseline, size, tolerance)


# -- sketches ----------------------------------------------------------------------------------------------------


def _by_sketches(model: TapSketch, baseline: TapSketch, size: int, tolerance: tuple[float, float]) -> TapDifference:
    if len(model.samples) != len(baseline.samples):
        return TapDifference("unknown")
    rtol, atol = tolerance
    groups = groups_of(size) if len(model.samples) > 1 or size == 1 else [range(0)]
    off: list[int] = []
    moved: list[int] = []
    worst = TapDifference("same")
    for group, now, before in zip(groups, model.samples, baseline.samples, strict=False):
        if now.bits == before.bits and model.dtype == baseline.dtype:
            continue
        moved += group
        distance = _estimate(now, before, model.count)
        scale = before.rms or 0.0
        allowed = atol + rtol * scale
        if distance > allowed or (allowed == 0 and model.dtype == baseline.dtype):
            off += group
        if worst.kind == "same" or distance - allowed > worst.size - worst.tolerance:
            worst = TapDifference("close", (), distance, allowed, scale)
    if worst.kind == "same":
        return worst
    if off and model.count >= _MANY and all(map(_same_figures, model.samples, baseline.samples)):
        return TapDifference("reordered", tuple(off), worst.size, worst.tolerance, worst.scale)
    kind: Kind = "off" if off else "close"
    return TapDifference(kind, tuple(off or moved), worst.size, worst.tolerance, worst.scale)


def _estimate(now: SampleSketch, before: SampleSketch, count: int) -> float:
    if now.nonfinite != before.nonfinite or len(now.projection) != len(before.projection):
        return float("inf")
    if not now.projection:  # text
        return 0.0 if now.bits == before.bits else float("inf")
    return estimated_rms(now.projection, before.projection, count)


def _same_figures(now: SampleSketch, before: SampleSketch) -> bool:
    if now.rms is None or before.rms is None or now.nonfinite != before.nonfinite:
        return False
    pairs = (
        (now.minimum, before.minimum), (now.maximum, before.maximum), (now.mean, before.mean), (now.rms, before.rms)
    )  # fmt: skip
    return all(abs((a or 0.0) - (b or 0.0)) <= _SAME_FIGURES * before.rms for a, b in pairs)


# -- whole tensors -----------------------------------------------------------------------------------------------


def _exactly(
    now: np.ndarray, before: np.ndarray, model: TapSketch, baseline: TapSketch, size: int,
    tolerance: tuple[float, float], *, any_layout: bool,
) -> TapDifference:  # fmt: skip
    now, before = _samples_first(now, model), _samples_first(before, baseline)
    layouts = list(_layouts(now)) if any_layout else [now]
    fitting = [layout for layout in layouts if layout.shape == before.shape]
    if not fitting:
        return TapDifference("shape", exact=True, moved=_permuted(now.shape, before.shape))
    best: TapDifference | None = None
    for layout in fitting:
        found = _values_differ(layout, before, model, baseline, size, tolerance)
        if layout is not now:
            found = TapDifference(
                found.kind, found.where, found.size, found.tolerance, found.scale, exact=True, moved=True
            )
        if best is None or found.size - found.tolerance < best.size - best.tolerance:
            best = found
        if best.kind in ("same", "close"):
            break
    assert best is not None
    if best.kind == "off" and _same_sorted(now, before, tolerance):
        return TapDifference("reordered", best.where, best.size, best.tolerance, best.scale, exact=True)
    return best


def _values_differ(
    now: np.ndarray, before: np.ndarray, model: TapSketch, baseline: TapSketch, size: int,
    tolerance: tuple[float, float],
) -> TapDifference:  # fmt: skip
    if now.dtype == before.dtype and not changed(before, now).any():
        return TapDifference("same", exact=True)
    if now.dtype.kind in "SO" or before.dtype.kind in "SO":
        return TapDifference("off", size=float("inf"), exact=True)
    rtol, atol = tolerance
    rows = [(range(size if size == 1 else 0), now, before)]
    if now.ndim and len(now) == size and len(model.samples) > 1:
        rows = [(range(sample, sample + 1), now[sample], before[sample]) for sample in range(size)]
    off: list[int] = []
    moved: list[int] = []
    worst = TapDifference("close", exact=True)
    first = True
    for samples, mine, yours in rows:
        distance, scale = _largest(mine, yours)
        allowed = atol + rtol * scale
        if distance:
            moved += samples
        if distance > allowed:
            off += samples
        if first or distance - allowed > worst.size - worst.tolerance:
            worst, first = TapDifference("close", (), distance, allowed, scale, exact=True), False
    where = off or moved
    if not where and len(model.samples) == len(baseline.samples) > 1:  # several slices a sample: their sketches tell
        for group, new, old in zip(groups_of(size), model.samples, baseline.samples, strict=False):
            where += group if new.bits != old.bits else ()
    kind: Kind = "off" if worst.size > worst.tolerance else "close"
    return TapDifference(kind, tuple(where), worst.size, worst.tolerance, worst.scale, exact=True)


def _largest(now: np.ndarray, before: np.ndarray) -> tuple[float, float]:
    """Largest absolute difference and largest absolute value; infinitely far where NaN or Inf stand elsewhere."""
    wide = np.complex128 if "c" in (now.dtype.kind, before.dtype.kind) else np.float64
    first, second = now.astype(wide), before.astype(wide)
    finite = np.isfinite(second)
    scale = float(np.abs(second[finite]).max(initial=0.0))
    if not np.array_equal(finite, np.isfinite(first)) or changed(first[~finite], second[~finite]).any():
        return float("inf"), scale
    return float(np.abs(first[finite] - second[finite]).max(initial=0.0)), scale


def _samples_first(value: np.ndarray, tap: TapSketch) -> np.ndarray:
    return value if tap.axis in (None, 0) else np.moveaxis(value, tap.axis, 0)


def _layouts(value: np.ndarray) -> Iterator[np.ndarray]:
    """As it is, and with the channels moved from last to first or from first to last (of one sample's axes)."""
    yield value
    if value.ndim > 2:
        yield np.moveaxis(value, -1, 1)
        yield np.moveaxis(value, 1, -1)


def _permuted(first: tuple[int | str, ...], second: tuple[int | str, ...]) -> bool:
    return first != second and sorted(map(str, first)) == sorted(map(str, second))


def _same_sorted(now: np.ndarray, before: np.ndarray, tolerance: tuple[float, float]) -> bool:
    """Whether every sample holds the same values in another order."""
    if now.dtype.kind in "cSO" or now.ndim == 0 or now.shape[0] == 0 or now[0].size < 2:
        return False
    rtol, atol = tolerance
    first, second = (np.sort(a.astype(np.float64).reshape(len(a), -1), axis=1) for a in (now, before))
    distance, scale = _largest(first, second)
    # Values that happen to lie close together once sorted are no evidence: the order must account for most of it.
    return distance <= atol + rtol * scale and float(np.ptp(second)) > 10 * (atol + rtol * scale)
