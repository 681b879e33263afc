"""How much speaks for two calls being the same layer: shapes and figures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kmr_cli.records import TapSketch

_VALUES, PATH, _SHAPE = 100, 30, 1  # what speaks for a match: agreeing figures outweigh a name, a name a shape
_CLOSE = 1e-2  # relative, of figures: an order needs no precision


def agrees(here: Sequence[TapSketch], there: Sequence[TapSketch]) -> bool:
    """Whether shapes and figures speak for a match."""
    return bool(scores([list(here)], [list(there)])[0, 0] > _SHAPE)


def signature(tap: TapSketch) -> tuple[object, ...]:
    """What two taps of the same thing have in common, whatever the layout: sizes in any order, and kind of dtype."""
    kind = "float" if "float" in tap.dtype else tap.dtype.rstrip("0123456789")
    return kind, *sorted(map(str, tap.shape))


def scores(here: Sequence[list[TapSketch]], there: Sequence[list[TapSketch]]) -> np.ndarray:
    """(calls here, calls there): how much shapes and figures speak for a match, whatever the paths."""
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
    score: np.ndarray = _SHAPE * shapes.astype(np.int64) + _VALUES * (shapes & close)
    return score


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
