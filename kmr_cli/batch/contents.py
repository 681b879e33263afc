"""What the numbers of an input seem to be: quantities, of which any float is valid, or ids, counts and flags."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kmr_cli.arrays.masks import as_steps, forbidding_value, two_valued
from kmr_cli.config.names import tells_lengths_by_name
from kmr_cli.records import Batch, TensorSpec


def whole_places(values: np.ndarray) -> np.ndarray:
    """Which places of a sample hold nothing but whole numbers; one axis less than ``values``, the samples'."""
    if values.dtype.kind in "biu":
        return np.ones(values.shape[1:], bool)
    if values.dtype.kind not in "fV":
        return np.zeros(values.shape[1:], bool)
    wide = values.astype(np.float64) if values.dtype.kind == "V" else values
    with np.errstate(invalid="ignore"):
        return np.asarray((wide == np.floor(wide)).all(axis=0) & np.isfinite(wide).all(axis=0))


def free_places(values: np.ndarray, spec: TensorSpec) -> np.ndarray | None:
    """Which places of a sample may hold any float; None where none may.

    What the model casts to integers are ids or counts, and of some of them alone where others in the data aren't whole
    numbers. Nor may a length be anything.
    """
    if values.dtype.kind not in "fcV" or (values.size == len(values) and tells_lengths_by_name(spec.name)):
        return None
    if forbidding_value(values) is not None:
        return None
    if not spec.counts:
        return np.ones(values.shape[1:], bool)
    free = ~whole_places(values)
    return free if free.any() else None


def may_refuse_nan(batch: Batch, specs: tuple[TensorSpec, ...]) -> bool:
    """Whether some float may be an id or a count: then a model is right to fail on NaN."""
    return any(
        values.dtype.kind in "fV" and (spec.counts or whole_places(values).any())
        for spec in specs
        if (values := batch[spec.name]).size
    )


def orders_steps(values: np.ndarray) -> bool:
    """Whether every sample is sorted along its steps: positions, segments, where rows begin."""
    if values.ndim != 2 or values.shape[1] < 3 or not whole_places(values).all() or values.dtype.kind == "b":
        return False
    wide = values.astype(np.float64)
    return bool((wide[:, 1:] >= wide[:, :-1]).all() and (wide[:, -1] > wide[:, 0]).any())


def hides_steps(values: np.ndarray) -> bool:
    """Whether samples are two-valued and change their value once at most along their steps, as masks mostly do."""
    steps = as_steps(values) if two_valued(values) or forbidding_value(values) is not None else None
    if steps is None or steps.shape[1] < 2:
        return False
    return bool(((steps[:, 1:] != steps[:, :-1]).sum(axis=1) <= 1).all())


def in_order(batch: Batch, rows: Sequence[int]) -> tuple[int, ...]:
    """Rows to take from a batch, sorted where its samples come in order: a model may rely on that."""
    return tuple(sorted(rows) if any(map(sorted_samples, batch.values())) else rows)


def sorted_samples(values: np.ndarray) -> bool:
    """Whether the samples, one whole number each, come in order: longest first, or the segments of a graph."""
    if (
        values.size != len(values)
        or len(values) < 3
        or values.dtype.kind not in "iuf"
        or not whole_places(values).all()
    ):
        return False
    flat = values.reshape(-1).astype(np.float64)
    rises, falls = (flat[1:] >= flat[:-1]).all(), (flat[1:] <= flat[:-1]).all()
    return bool((rises or falls) and flat[0] != flat[-1])
