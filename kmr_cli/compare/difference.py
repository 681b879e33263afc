"""How one tap of a model differs from its counterpart in a baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.records import SampleSketch, TapSketch
from kmr_cli.snapshot import sketch_v1
from kmr_cli.snapshot.sketch import WIDTH, checksum, estimated_rms, groups_of, resolution

Values: TypeAlias = Callable[[TapSketch], np.ndarray]
"""The whole tensor at a tap."""
Kind: TypeAlias = Literal["same", "close", "off", "reordered", "shape", "unknown"]

_SAME_FIGURES = 1e-5
"""Relative: minimum, maximum, mean and rms of the same values in another order agree that well."""
_REORDERED = 100 * _SAME_FIGURES
"""Relative: a smaller difference changes the figures too little to tell another order from other values."""
_MANY = 16
"""Elements from which on four agreeing figures are no chance."""
_ROUNDED = 1e-5
"""Relative: what rounding to six digits may make of the difference of two figures."""
RANDOM = "changes from run to run"
NOW_RANDOM = "gives different values for the same batch from run to run, and did not before"
_HIDDEN = "has other bits, and a snapshot of version 1 does not tell rounding from swapped values"
_PLACES = "has other bits, and a snapshot of version 1 does not tell where NaN and Inf stand"
_CUT = "is cut by samples on one side only"
_FAR = float("inf")


@dataclass(frozen=True)
class TapDifference:
    """What the content of two taps says.

    Attributes:
        kind: ``same`` (bit for bit), ``close`` (within the tolerance), ``off`` (beyond it), ``reordered`` (the same
            values in another order), ``shape`` (another shape), ``unknown`` (nothing can be said).
        where: samples that are off, or differ if none is off; empty where they cannot be told apart.
        size: the largest absolute difference, or the estimated root mean square of it where only sketches are at hand;
            infinite where no number says it: other text, NaN or Inf at other places.
        tolerance: what is allowed, in the same terms.
        scale: what rtol refers to: the largest absolute value, or the root mean square.
        exact: from whole tensors.
        moved: the axes stand in another order, which was undone before values were compared.
        reason: why nothing is known, or what is off if ``size`` does not say it.
    """

    kind: Kind
    where: tuple[int, ...] = ()
    size: float = 0.0
    tolerance: float = 0.0
    scale: float = 0.0
    exact: bool = False
    moved: bool = False
    reason: str = ""


def differ(
    model: TapSketch,
    baseline: TapSketch,
    size: int,
    tolerance: tuple[float, float],
    *,
    values: tuple[Values, Values] | None = None,
    any_layout: bool = False,
    schema: int = 2,
) -> TapDifference:
    """Compare two taps.

    Args:
        model: the tap.
        baseline: its counterpart.
        size: samples in the batch.
        tolerance: (rtol, atol).
        values: where the whole tensors are, for an exact comparison.
        any_layout: channels may stand first in one and last in the other.
        schema: version of the snapshots that both sketches are from. Version 1 leaves more unknown.
    """
    if model.random and not baseline.random:
        return TapDifference("off", size=_FAR, reason=NOW_RANDOM)
    if model.random or baseline.random:
        return TapDifference("unknown", reason=RANDOM)
    if values is not None:
        return _exactly(values[0](model), values[1](baseline), model, baseline, size, tolerance, any_layout=any_layout)
    now, before = _sizes(model, size), _sizes(baseline, size)
    if now != before:
        return TapDifference("shape", moved=sorted(now) == sorted(before))
    if len(model.samples) != len(baseline.samples) or model.count != baseline.count:
        return TapDifference("unknown", reason=_CUT)
    return _by_sketches(model, baseline, size, tolerance, schema)


def _badness(found: TapDifference) -> tuple[float, float]:
    """How far beyond the tolerance, for the worst of several parts."""
    if not found.size:
        return 0.0, 0.0
    return (found.size / found.tolerance if found.tolerance else _FAR), found.size


def _sizes(tap: TapSketch, size: int) -> tuple[int, ...]:
    """The shape in numbers, with the axis that carries the samples first."""
    shape = list(tap.sizes(size))
    if tap.axis is not None:
        shape.insert(0, shape.pop(tap.axis))
    return tuple(shape)


# -- sketches ----------------------------------------------------------------------------------------------------


def _by_sketches(
    model: TapSketch, baseline: TapSketch, size: int, tolerance: tuple[float, float], schema: int
) -> TapDifference:
    rtol, atol = tolerance
    groups: Sequence[range] = groups_of(size) if len(model.samples) > 1 or size == 1 else [range(0)]
    same_dtype = model.dtype == baseline.dtype
    off: list[int] = []
    moved: list[int] = []
    worst: TapDifference | None = None
    any_off = far = False
    hidden = ""
    for group, now, before in zip(groups, model.samples, baseline.samples, strict=True):
        if now.bits == before.bits and same_dtype:
            continue
        moved += group
        distance = _estimate(now, before, model.count)
        scale = before.rms or 0.0
        allowed = atol + rtol * scale
        if allowed:
            # What the rounding of the sketches themselves may make is no evidence.
            allowed = max(allowed, _rounding(now, before, model, baseline, schema))
        part = TapDifference("close", (), distance, allowed, scale)
        wrong = distance > allowed or distance == _FAR or (allowed == 0 and same_dtype)
        far = far or (wrong and _REORDERED * scale < distance < _FAR)
        if not wrong:
            finer = _extremes(now, before, tolerance)
            wrong, part = finer is not None, finer or part
            if schema == 1:
                hidden = hidden or _hidden(now, model, distance, _rounding(now, before, model, baseline, schema))
        if wrong:
            off += group
            any_off = True
        worst = part if worst is None else max(worst, part, key=_badness)
    if worst is None:
        return TapDifference("same")
    if far and model.count >= _MANY and all(map(_same_figures, model.samples, baseline.samples)):
        return replace(worst, kind="reordered", where=tuple(off))
    if hidden and not any_off:
        return TapDifference("unknown", reason=hidden)
    return replace(worst, kind="off" if any_off else "close", where=tuple(off or moved))


def _rounding(now: SampleSketch, before: SampleSketch, model: TapSketch, baseline: TapSketch, schema: int) -> float:
    """The largest distance that comes from nothing but the rounding of the sketches."""
    of = resolution if schema > 1 else sketch_v1.resolution
    return max(of(before.projection, baseline.dtype, model.count), of(now.projection, model.dtype, model.count))


def _hidden(now: SampleSketch, model: TapSketch, distance: float, rounding: float) -> str:
    """Why sketches of version 1 that agree say nothing, where bits differ; empty where they do say it.

    In them +d and -d at two places of a bucket may cancel, and only the number of NaN and Inf is known.
    """
    if now.nonfinite:
        return _PLACES
    elements = model.count * (2 if model.dtype.startswith("complex") else 1)
    return _HIDDEN if elements > WIDTH and distance <= rounding else ""


def _estimate(now: SampleSketch, before: SampleSketch, count: int) -> float:
    if (now.nonfinite, now.places) != (before.nonfinite, before.places):
        return _FAR
    if len(now.projection) != len(before.projection):
        return _FAR
    if not now.projection:  # text, or nothing at all
        return 0.0 if now.bits == before.bits else _FAR
    return estimated_rms(now.projection, before.projection, count)


def _extremes(now: SampleSketch, before: SampleSketch, tolerance: tuple[float, float]) -> TapDifference | None:
    """What is wrong with the smallest and the largest value: they show an outlier that a root mean square hides."""
    if now.minimum is None or now.maximum is None or before.minimum is None or before.maximum is None:
        return None
    rtol, atol = tolerance
    distance = max(abs(now.minimum - before.minimum), abs(now.maximum - before.maximum))
    scale = max(abs(before.minimum), abs(before.maximum))
    allowed = atol + max(rtol * scale, _ROUNDED * max(scale, abs(now.minimum), abs(now.maximum)))
    if distance <= allowed:
        return None
    reason = f"the smallest or the largest value is off by {distance:.3g}, tolerance {allowed:.3g}"
    return TapDifference("off", (), distance, allowed, scale, reason=reason)


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
    fitting = [layout for layout in (_layouts(now) if any_layout else [now]) if layout.shape == before.shape]
    if not fitting:
        return TapDifference("shape", exact=True, moved=sorted(now.shape) == sorted(before.shape))
    best: TapDifference | None = None
    for layout in fitting:
        found = _values_differ(layout, before, model, size, tolerance)
        if layout is not now:
            found = replace(found, moved=True)
        best = found if best is None else min(best, found, key=_badness)
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
    off: list[int] = []
    moved: list[int] = []
    any_off = False
    worst: TapDifference | None = None
    for samples, mine, yours in _rows(now, before, model, size):
        distance, scale = _largest(mine, yours)
        allowed = atol + rtol * scale
        if distance:
            moved += samples
        if distance > allowed:
            off += samples
            any_off = True
        part = TapDifference("close", (), distance, allowed, scale, exact=True)
        worst = part if worst is None else max(worst, part, key=_badness)
    if worst is None:  # other dtypes, and no element
        return TapDifference("close", exact=True)
    return replace(worst, kind="off" if any_off else "close", where=tuple(off or moved))


def _rows(
    now: np.ndarray, before: np.ndarray, model: TapSketch, size: int
) -> Iterator[tuple[Sequence[int], np.ndarray, np.ndarray]]:
    """The samples' parts, or everything at once where they cannot be told apart."""
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
        return (0.0 if np.array_equal(now, before) else _FAR), 0.0
    wide = np.complex128 if "c" in (now.dtype.kind, before.dtype.kind) else np.float64
    first, second = now.astype(wide), before.astype(wide)
    finite = np.isfinite(second)
    with np.errstate(over="ignore"):
        scale = float(np.abs(second[finite]).max(initial=0.0))
        if not np.array_equal(finite, np.isfinite(first)) or changed(first[~finite], second[~finite]).any():
            return _FAR, scale
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
    """Whether every sample holds the same values in another order."""
    if now.dtype.kind in "cSUO" or before.dtype.kind in "cSUO" or now.ndim == 0 or now.size < 2 * len(now):
        return False
    rtol, atol = tolerance
    first, second = (np.sort(a.astype(np.float64).reshape(len(a), -1), axis=1) for a in (now, before))
    if first.shape != second.shape:
        return False
    distance, scale = _largest(first, second)
    with np.errstate(invalid="ignore", over="ignore"):
        spread = float(np.ptp(second))
    # Values that happen to lie close together once sorted are no evidence: the order must account for most of it.
    return distance <= atol + rtol * scale and spread > 10 * (atol + rtol * scale)
