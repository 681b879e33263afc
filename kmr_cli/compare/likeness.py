"""How much speaks for two calls being the same layer: shapes, figures and kinds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kmr_cli.records import SampleSketch, TapSketch
from kmr_cli.snapshot.sketch import estimated_rms

# What speaks for a match: agreeing figures outweigh a name, a name a kind, and that a shape. Figures say little of a
# call that only hands on what it was given: whatever stands there agrees.
_VALUES, PATH, _KIND, _HANDED_ON, _SHAPE = 100, 30, 20, 10, 1
_ORDER = 1e-6  # relative: what another order of adding up makes of a sum
_CLOSE = 1e-2  # relative, of figures: an order needs no precision


def agrees(here: Sequence[TapSketch], there: Sequence[TapSketch]) -> bool:
    """Whether shapes and figures speak for a match."""
    return bool(scores([list(here)], [list(there)])[0, 0] > _SHAPE)


def apart(here: Sequence[TapSketch], there: Sequence[TapSketch]) -> float:
    """How far apart what leaves two calls is, relative to the larger of both; infinite for other shapes."""
    mine, yours = _out(here)[0], _out(there)[0]
    if signature(mine) != signature(yours):
        return math.inf
    size = max((math.hypot(*(sample.rms or 0.0 for sample in tap.samples)) for tap in (mine, yours)), default=0.0)
    if not size:
        return 0.0
    if mine.shape == yours.shape and len(mine.samples) == len(yours.samples):
        pairs = [(now.projection, before.projection) for now, before in zip(mine.samples, yours.samples, strict=True)]
        if all(now and len(now) == len(before) for now, before in pairs):
            return math.hypot(*(estimated_rms(now, before, mine.count) for now, before in pairs)) / size
    figures = zip(_figures(_out(here)), _figures(_out(there)), strict=True)
    return max(abs(now - before) for now, before in figures) * math.sqrt(len(mine.samples)) / size


def signature(tap: TapSketch) -> tuple[object, ...]:
    """What two taps of the same thing have in common, whatever the layout: sizes in any order, and kind of dtype."""
    kind = "float" if "float" in tap.dtype else tap.dtype.rstrip("0123456789")
    return kind, *sorted(map(str, tap.shape))


def scores(
    here: Sequence[list[TapSketch]],
    there: Sequence[list[TapSketch]],
    kinds: tuple[Sequence[str], Sequence[str]] | None = None,
) -> np.ndarray:
    """(calls here, calls there): how much speaks for a match, whatever the paths.

    Args:
        here: the taps of every call of the model.
        there: of the baseline.
        kinds: what kind of layer each of them is; empty where that is not known.
    """
    ids: dict[tuple[object, ...], int] = {}
    mine, yours = (
        np.array([ids.setdefault(tuple(map(signature, _out(taps))), len(ids)) for taps in side])
        for side in (here, there)
    )
    shapes = mine[:, None] == yours[None, :]
    figures = [np.array([_figures(_out(taps)) for taps in side]) for side in (here, there)]
    first, second = figures[0][:, None, :], figures[1][None, :, :]
    scale = np.maximum(first[..., -1:], second[..., -1:])  # rms
    with np.errstate(invalid="ignore"):
        close = (np.abs(first - second) <= _CLOSE * scale).all(axis=-1) & (scale[..., 0] > 0)
    mine, yours = (np.array([_hands_on(taps) for taps in side], bool) for side in (here, there))
    values = np.where(mine[:, None] | yours[None, :], _HANDED_ON, _VALUES)
    alike = close | (mine[:, None] == yours[None, :])  # what does nothing is no other layer for its shape
    score: np.ndarray = shapes * (_SHAPE * alike + values * close)
    if kinds is not None:
        score += _KIND * shapes * np.array([[bool(one) and one == other for other in kinds[1]] for one in kinds[0]])
    return score


def _hands_on(taps: Sequence[TapSketch]) -> bool:
    """Whether all that leaves a call entered it: as it is, or in another shape or layout."""
    entered = [tap for tap in taps if tap.port.startswith("in")]
    left = [tap for tap in taps if tap.port.startswith("out")]
    return bool(left) and all(any(_same_values(tap, other) for other in entered) for tap in left)


def _same_values(tap: TapSketch, other: TapSketch) -> bool:
    """Whether two taps hold the same values for every sample, in whatever order."""
    if tap.count != other.count or len(tap.samples) != len(other.samples):
        return False
    return all(map(_same_sample, tap.samples, other.samples))


def _same_sample(now: SampleSketch, before: SampleSketch) -> bool:
    if now.bits == before.bits:
        return True
    ends = (now.minimum, now.maximum, now.nonfinite) == (before.minimum, before.maximum, before.nonfinite)
    return ends and abs((now.rms or 0.0) - (before.rms or 0.0)) <= _ORDER * (before.rms or 0.0)


def _out(taps: Sequence[TapSketch]) -> list[TapSketch]:
    """What leaves, if it was kept; else what enters."""
    return [tap for tap in taps if tap.port.startswith("out")] or list(taps)


def _figures(taps: Sequence[TapSketch]) -> tuple[float, float, float, float]:
    """Minimum, maximum, mean and rms over all samples of the first tap; NaN where there are none."""
    samples = [sample for sample in taps[0].samples if sample.rms is not None]
    if not samples:
        return (float("nan"),) * 4
    return (
        min(sample.minimum or 0.0 for sample in samples),
        max(sample.maximum or 0.0 for sample in samples),
        float(np.mean([sample.mean or 0.0 for sample in samples])),
        math.hypot(*(sample.rms or 0.0 for sample in samples)) / math.sqrt(len(samples)),
    )
