"""Other valid data in the place of chosen samples: the question put to the model.

Batch size and shapes stay as they are, so a kernel does the same arithmetic for every sample that is kept.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kmr_cli.records import Batch, TensorSpec
from kmr_cli.synthetic import draw


def replace(
    batch: Batch,
    samples: Iterable[int],
    specs: tuple[TensorSpec, ...],
    rng: np.random.Generator,
    spare: Batch | None = None,
) -> dict[str, np.ndarray]:
    """A copy of ``batch`` in which exactly ``samples`` hold other valid data.

    Other rows of the user's file come first (``spare``). Failing that, floats are drawn anew per feature, with
    the batch's own mean and scale, clipped to the range seen; integers and text from the values that occur,
    padding and one-hot vectors kept as such. Never a permutation of the replaced rows: a batch mean would not
    move.

    Args:
        batch: input name -> array, samples along axis 0.
        samples: which rows to replace.
        specs: the model's inputs (for the range of integers).
        rng: the source of chance.
        spare: rows of the same inputs that are not in ``batch``; used where there is at least one for every
            replaced row.
    """
    rows = np.fromiter(samples, dtype=np.intp)
    picks = None
    if spare:
        available = next(iter(spare.values())).shape[0]
        if available >= rows.size:
            picks = rng.permutation(available)[: rows.size]
    result = {}
    for spec in specs:
        values = np.array(batch[spec.name], copy=True)
        if rows.size:
            new = spare[spec.name][picks] if spare and picks is not None else _redraw(values, rows, rng)
            values[rows] = _really_different(values[rows], new, spec, rng)
        result[spec.name] = values
    return result


def _redraw(values: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    old: np.ndarray = values[rows]
    if values.ndim > 1 and _is_one_hot(values):
        return rng.permuted(old, axis=-1)
    kind = values.dtype.kind
    if kind in "iuO":
        return _other_values(values, old, rng)
    if kind == "b":
        return np.where(rng.random(old.shape) < 0.5, ~old, old)
    if kind == "c":
        real = _other_floats(values.real, old.real, rng)
        imaginary = _other_floats(values.imag, old.imag, rng)
        return np.asarray(real + 1j * imaginary, dtype=values.dtype)
    return _other_floats(values, old, rng)


def _other_floats(values: np.ndarray, old: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    wide = values.astype(np.float64)
    finite = np.where(np.isfinite(wide), wide, np.nan)
    if np.isnan(finite).all(axis=0).any():
        finite = np.nan_to_num(finite)
    low, high = np.nanmin(finite, axis=0), np.nanmax(finite, axis=0)
    draws = rng.normal(np.nanmean(finite, axis=0), np.nanstd(finite, axis=0), old.shape)
    fresh = np.clip(draws, low, high)
    if old.ndim > 2:  # time steps that are zero throughout are padding: the length of a sequence stays
        padding = (old == 0).all(axis=tuple(range(2, old.ndim)), keepdims=True)
        fresh = np.where(padding & ~padding.all(axis=1, keepdims=True), 0.0, fresh)
    with np.errstate(over="ignore"):
        result: np.ndarray = fresh.astype(values.dtype)
    return result


def _other_values(values: np.ndarray, old: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    seen = np.unique(values)
    keep = np.zeros(old.shape, dtype=bool)
    if values.dtype.kind in "iu" and old.ndim > 1:
        # Zeros that run to the end of a row are padding: the length of the sequence stays.
        keep = np.logical_and.accumulate((old == 0)[..., ::-1], axis=-1)[..., ::-1]
        keep &= ~keep.all(axis=-1, keepdims=True)
        if keep.any() and (seen != 0).any():
            seen = seen[seen != 0]
    if seen.size < 2:
        return np.array(old, copy=True)
    place = np.searchsorted(seen, old)
    place = np.clip(place, 0, seen.size - 1)
    other = seen[(place + rng.integers(1, seen.size, old.shape)) % seen.size]
    result: np.ndarray = np.where(keep, old, other)
    return result


def _is_one_hot(values: np.ndarray) -> bool:
    if values.shape[-1] < 2 or values.dtype.kind not in "biuf":
        return False
    return bool(((values == 0) | (values == 1)).all() and (values.sum(axis=-1) == 1).all())


def _really_different(old: np.ndarray, new: np.ndarray, spec: TensorSpec, rng: np.random.Generator) -> np.ndarray:
    """Where a replaced row came out as it was (all samples alike), draw it from the input's whole range."""
    same = (old == new).reshape(len(old), -1).all(axis=1)
    if not same.any():
        return new
    new = np.array(new, copy=True)
    fresh = draw(spec, new[same].shape, rng)
    kind = new.dtype.kind
    if kind in "fcV":
        fresh = (old[same] + fresh * np.maximum(1, np.abs(old[same]).max())).astype(new.dtype)
    elif kind == "b":
        fresh = ~old[same]
    elif kind in "iu":
        limit = spec.limit or int(old.max()) + 2
        fresh = ((old[same] + rng.integers(1, max(limit, 2), old[same].shape)) % limit).astype(new.dtype)
    new[same] = fresh.astype(new.dtype)
    return new
