"""Samples that answer a question of the whole batch one way, alone or all of them: all zero, of one sign, short."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from kmr_cli.arrays.masks import forbidding_value, two_valued
from kmr_cli.batch.contents import free_places, orders_steps, sorted_samples
from kmr_cli.config.names import tells_lengths_by_name
from kmr_cli.records import Batch, TensorSpec

Side: TypeAlias = Literal["zero", "negative", "positive", "short"]
SIDES: tuple[Side, ...] = ("positive", "negative", "zero", "short")
_LARGER = 4
"""Of one sign they are so much larger: a sample of which much lies beyond the usual is treated otherwise, maybe."""
_HIGHEST = 16
"""Ids at the end of a vocabulary."""


def one_sided(batch: Batch, rows: Sequence[int], specs: Sequence[TensorSpec], side: Side) -> dict[str, np.ndarray]:
    """A copy of ``batch`` in which ``rows`` are all of one kind.

    They hold nothing but zero; nothing that is not below zero, or not above it; or zero in the second half of their
    steps. Masks and flags are 0, or 1 for what is above zero; ids and pixels 0, or as high as they may be. Lengths,
    positions and what else a model may rightly refuse to be 0 stand as they are.
    """
    known = {spec.name: spec for spec in specs}
    result, chosen = {}, list(rows)
    for name, given in batch.items():
        values = np.array(given, copy=True)
        if name in known and values.size:
            new = _turned(values, chosen, known[name], "zero" if side == "short" else side)
            if side == "short":
                new = _second_half(values[chosen], new, known[name])
            values[chosen] = new
        result[name] = values
    return result


def _turned(values: np.ndarray, rows: list[int], spec: TensorSpec, side: Side) -> np.ndarray:
    old = values[rows]
    if values.dtype.kind == "b" or (values.ndim > 1 and two_valued(values)):
        return old if side == "negative" else np.full_like(old, side == "positive")
    free = free_places(values, spec)
    if free is not None:
        return np.where(free, _floats(values, old, side), old)
    if side == "negative" or values.dtype.kind not in "iu" or not _may_be_zero(values, spec):
        return old
    if side == "zero":
        return np.zeros_like(old)
    highest = _highest(values, spec)
    below = np.arange(old.size).reshape(old.shape) % min(_HIGHEST, max(1, highest // 2))
    result: np.ndarray = (highest - below).astype(old.dtype)
    return result


def _second_half(old: np.ndarray, zero: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """What has steps: sequences of features, of ids and of flags."""
    steps = old.ndim == 3 or (old.ndim == 2 and (old.dtype.kind in "biu" or two_valued(old) or spec.counts))
    if not steps or old.shape[1] < 2:
        return old
    result = np.array(old, copy=True)
    half = (old.shape[1] + 1) // 2
    result[:, half:] = zero[:, half:]
    return result


def _floats(values: np.ndarray, old: np.ndarray, side: Side) -> np.ndarray:
    if side == "zero":
        return np.zeros_like(old)
    wide = values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)
    sizes = np.abs(wide)
    largest = float(sizes[np.isfinite(sizes)].max(initial=0)) or 1.0
    there = np.abs(old.astype(wide.dtype))
    there = _LARGER * np.where(there > 0, there, largest / 16)  # zero has no sign
    signed = there if side == "positive" else -there
    with np.errstate(over="ignore"):
        result: np.ndarray = np.where(np.isfinite(there), signed, old).astype(values.dtype)
    return result


def _may_be_zero(values: np.ndarray, spec: TensorSpec) -> bool:
    """Ids and pixels may; how long a sample is, or where its steps stand, may not."""
    known = spec.limit is not None and "limit" not in spec.presumed
    if tells_lengths_by_name(spec.name) or (values.size == len(values) and not known):
        return False
    return forbidding_value(values) is None and not orders_steps(values) and not sorted_samples(values)


def _highest(values: np.ndarray, spec: TensorSpec) -> int:
    """The largest number that an input of integers may hold, as far as that is known."""
    if spec.limit is not None and "limit" not in spec.presumed:
        return max(spec.limit - 1, 0)
    narrow = values.dtype.itemsize == 1
    return int(np.iinfo(values.dtype).max) if narrow else int(max(values.max(), 1))
