"""Made-up masks and lengths: inputs that go by such names are valid only with some values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kmr_cli.config.names import speaks_of_padding, tells_lengths_by_name, tells_mask_by_name
from kmr_cli.records import Batch, TensorSpec


def with_masks_and_lengths(batch: Batch, specs: Sequence[TensorSpec]) -> dict[str, np.ndarray]:
    """The batch with such values in those inputs: the first sample has all steps, and later ones fewer.

    Args:
        batch: drawn at random.
        specs: the model's inputs.
    """
    result = dict(batch)
    for spec in specs:
        values = batch[spec.name]
        if values.dtype == object:
            continue
        if tells_lengths_by_name(spec.name) and values.size == len(values):
            steps = min(
                (size for name, other in batch.items() if name != spec.name for size in other.shape[1:3]), default=1
            )
            result[spec.name] = _as_lengths(_counts(len(values), steps), steps, spec, values)
        elif tells_mask_by_name(spec.name) and values.ndim > 1 and spec.limit is None:
            result[spec.name] = _as_flags(values) if speaks_of_padding(spec.name) else _as_mask(values)
    return result


def _counts(samples: int, steps: int) -> np.ndarray:
    """How many steps of each sample count: all of the first, at least half of the last, in this order."""
    return np.asarray(steps - np.arange(samples) * (steps // 2) // max(1, samples - 1))


def _as_lengths(counts: np.ndarray, steps: int, spec: TensorSpec, like: np.ndarray) -> np.ndarray:
    """Numbers of steps; floats that nobody casts to integers as they are tell shares of all steps."""
    if spec.dtype is None:
        return counts.astype(np.int64).reshape(like.shape)
    shares = like.dtype.kind not in "iu" and not spec.counts
    return np.asarray((counts / steps if shares else counts).astype(like.dtype).reshape(like.shape))


def _as_flags(like: np.ndarray) -> np.ndarray:
    """Zeros and ones that say nothing of which of them stands for padding: that differs between frameworks."""
    if like.dtype.kind == "b":
        return like
    wide = like.astype(np.float64)
    return np.asarray((wide % 2 == 1 if like.dtype.kind in "iu" else wide > 0).astype(like.dtype))


def _as_mask(like: np.ndarray) -> np.ndarray:
    """Which steps count, along the axis that has any; where two are as long, none that come later count either."""
    long = [axis for axis, size in enumerate(like.shape) if axis and size > 1]
    if not long:
        return np.ones_like(like)
    steps = like.shape[long[-1]]
    counts = np.arange(steps)[None] < _counts(len(like), steps)[:, None]
    shape = [size if axis in (0, long[-1]) else 1 for axis, size in enumerate(like.shape)]
    shown = np.broadcast_to(counts.reshape(shape), like.shape)
    if len(long) > 1 and like.shape[long[-2]] == steps and long[-2] == long[-1] - 1 == like.ndim - 2:
        shown = shown & np.tril(np.ones((steps, steps), bool))
    return np.asarray(shown.astype(like.dtype))
