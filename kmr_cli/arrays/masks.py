"""Which elements of an array look like padding: what values alone tell of masks, and of steps that do not count."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_FORBIDS = -100.0
"""Added to scores, this or less leaves nothing of a step."""
_LOW = -10_000.0
_RARE = 0.02
"""Share of the steps that count which may hold the value of padding all the same, by accident."""


class PaddedSteps(NamedTuple):
    """What seems to be padding at the end of samples.

    Attributes:
        axis: that the steps lie along.
        value: what a padded step holds, and nothing else.
        counts: how many steps of each sample come before it, ``(samples,)``.
    """

    axis: int
    value: float
    counts: np.ndarray


def is_padding(values: np.ndarray, value: float, axis: int = 1) -> np.ndarray:
    """Which steps of an input, along an axis of it, hold nothing but ``value``: ``(samples, steps)``."""
    steps = np.moveaxis(values, axis, 1)
    return np.asarray((steps == value).reshape(*steps.shape[:2], -1).all(axis=2))


def two_valued(values: np.ndarray) -> bool:
    """Whether all are booleans, or the numbers 0 and 1."""
    if values.dtype.kind == "b":
        return True
    return values.dtype.kind in "iuf" and bool(((values == 0) | (values == 1)).all())


def forbidding_value(values: np.ndarray) -> float | None:
    """The very negative number of a float mask that is added to scores, and holds 0 where a step counts; else None."""
    if values.dtype.kind not in "fV" or not values.size:
        return None
    wide = values if values.dtype.kind == "f" else values.astype(np.float64)
    low, high = float(wide.min()), float(wide.max())
    if high != 0 or not low <= _FORBIDS:
        return None
    return low if bool(((wide == low) | (wide == 0)).all()) else None


def adds_nothing(values: np.ndarray, forbids: float | None = None) -> float | None:
    """Of a float mask that is added to scores and is 0 everywhere, what would forbid a step there; else None.

    A mask of 0 and 1 that is 0 everywhere would let nothing count.

    Args:
        values: of the mask.
        forbids: what the user says; None for a number that any dtype holds.
    """
    if values.dtype.kind not in "fV" or not values.size or bool(values.astype(np.float64).any()):
        return None
    if forbids is None:
        return _LOW
    return forbids if forbids <= _FORBIDS else None


def as_steps(values: np.ndarray) -> np.ndarray | None:
    """A mask without the axes of length 1 that it broadcasts along, ``(samples, steps)``; None if it isn't one."""
    if values.ndim < 2 or values.shape[0] == 0:
        return None
    long = [length for length in values.shape[1:] if length != 1]
    return values.reshape(len(values), long[0]) if len(long) == 1 else None


def pairs_hide(values: np.ndarray) -> float | None:
    """Which value of a mask of pairs of steps hides a step from another, as far as that shows; else None.

    A padded step is hidden from every step of its sample, and how many are differs from sample to sample.

    Args:
        values: ``(samples, …, steps, steps)``, the steps that are looked at last.
    """
    if values.ndim < 3 or values.shape[-1] != values.shape[-2] or values.shape[-1] < 2 or len(values) < 2:
        return None
    forbids = forbidding_value(values)
    told = []
    for hides in (0.0, 1.0) if forbids is None and two_valued(values) else () if forbids is None else (forbids,):
        seen = (values != hides).reshape(len(values), -1, values.shape[-1]).any(axis=1)
        counts = seen.sum(axis=1)
        if len(np.unique(counts)) > 1 and (seen == (np.arange(seen.shape[1]) < counts[:, None])).all():
            told.append(hides)
    return told[0] if len(told) == 1 else None


def hiding_value(mask: np.ndarray) -> bool | None:
    """Which of its two values hides a step, as far as that shows.

    Padding follows (or precedes) what counts, and the longest sample of a batch mostly has none.

    Args:
        mask: two-valued, ``(samples, steps)``.

    Returns:
        True where True (1) marks padding, False where False (0) does; None where the values do not tell.
    """
    mask = mask.astype(bool)
    changes = (mask[:, 1:] != mask[:, :-1]).sum(axis=1)
    if (changes > 1).any():
        return None  # no padding at one end, or not of this alone
    whole = {bool(value) for value in mask[changes == 0, 0]}
    if len(whole) == 1:
        return not whole.pop()
    first = {bool(value) for value in mask[changes == 1, 0]}
    return not first.pop() if len(first) == 1 and not whole else None


def padded_steps(values: np.ndarray) -> PaddedSteps | None:
    """Padding that shows in the data: one value that fills samples up to different lengths, and hardly occurs before.

    Args:
        values: ``(samples, steps)``, or ``(samples, steps, features)`` with the last two in either order.
    """
    if values.ndim not in (2, 3) or values.dtype.kind not in "iuf" or len(values) < 2 or 0 in values.shape:
        return None
    for axis in range(1, values.ndim):
        steps = np.moveaxis(values, axis, 1).reshape(len(values), values.shape[axis], -1)
        ends, how_often = np.unique(steps[:, -1].ravel(), return_counts=True)
        value = ends[how_often.argmax()]
        empty = (steps == value).all(axis=2)
        counts = steps.shape[1] - np.logical_and.accumulate(empty[:, ::-1], axis=1).sum(axis=1)
        counted = np.arange(steps.shape[1])[None] < counts[:, None]
        long_enough = steps.shape[1] > 2 and counts.max() - counts.min() > 1 and counts.min() > 0
        inside = (steps == value)[counted]
        if long_enough and inside.mean() <= _RARE:
            return PaddedSteps(axis, float(value), counts)
    return None
