"""Other valid data in the place of chosen samples: the question put to the model.

Batch size and shapes stay as they are, so a kernel does the same arithmetic for every sample that is kept.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kmr_cli.batch.synthetic import draw
from kmr_cli.records import Batch, TensorSpec


def replace(
    batch: Batch,
    samples: Iterable[int],
    specs: tuple[TensorSpec, ...],
    rng: np.random.Generator,
    spare: Batch | None = None,
) -> dict[str, np.ndarray]:
    """A copy of ``batch`` in which exactly ``samples`` hold other valid data.

    Other rows of the user's file come first (``spare``). Failing that, floats are drawn anew per feature, with
    the batch's own mean and scale, clipped to the range seen; integers and text from the values that occur. One-hot
    vectors stay one-hot, booleans (masks) become another sample's row, and a padded sequence gets the length of
    another sample: so masks react too. Never a permutation of the replaced rows: a batch mean would not move.

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
            new = spare[spec.name][picks] if spare and picks is not None else _redraw(values, rows, spec, rng)
            values[rows] = _really_different(values[rows], new, spec, rng)
        result[spec.name] = values
    return result


def _redraw(values: np.ndarray, rows: np.ndarray, spec: TensorSpec, rng: np.random.Generator) -> np.ndarray:
    old: np.ndarray = values[rows]
    if values.ndim > 1 and _is_one_hot(values):
        return rng.permuted(old, axis=-1)
    kind = values.dtype.kind
    if kind == "b":
        return _other_rows(values, rows, rng)
    if kind in "iuO" or spec.limit is not None:
        fresh = _other_values(values, old, rng)
    elif kind == "c":
        real = _other_floats(values.real, old.real, rng)
        fresh = np.asarray(real + 1j * _other_floats(values.imag, old.imag, rng), dtype=values.dtype)
    else:
        fresh = _other_floats(values, old, rng)
    if kind != "O" and values.ndim > 1:
        padding = _padding(values)
        if padding is not None:
            fresh[_other_rows(padding, rows, rng)] = 0
    return fresh


def _other_floats(values: np.ndarray, old: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    low, high, mean, deviation = _moments(values)
    fresh = np.clip(mean + deviation * rng.standard_normal(old.shape, dtype=mean.dtype.type), low, high)
    with np.errstate(over="ignore"):
        result: np.ndarray = fresh.astype(values.dtype)
    return result


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Lowest, highest, mean and standard deviation along axis 0, of finite values alone; float32 where that will do."""
    if values.dtype == np.float32:
        with np.errstate(all="ignore"):
            deviation = values.std(axis=0)
        if np.isfinite(deviation).all():
            return values.min(axis=0), values.max(axis=0), values.mean(axis=0), deviation
    wide = values.astype(np.float64)
    finite = np.where(np.isfinite(wide), wide, np.nan)
    if np.isnan(finite).all(axis=0).any():
        finite = np.nan_to_num(finite)
    unit = max(float(np.nanmax(np.abs(finite), initial=0)), np.finfo(np.float64).tiny)
    mean, deviation = (unit * of(finite / unit, axis=0) for of in (np.nanmean, np.nanstd))  # squares need room
    return np.nanmin(finite, axis=0), np.nanmax(finite, axis=0), mean, deviation


def _other_values(values: np.ndarray, old: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    seen = np.unique(values)
    if values.dtype != object and _padding(values) is not None:
        seen = seen[seen != 0]  # 0 stands for padding here, which is put where it belongs afterwards
    if seen.size < 2:
        return np.full_like(old, seen[0])
    place = np.clip(np.searchsorted(seen, old), 0, seen.size - 1)
    other: np.ndarray = seen[(place + rng.integers(1, seen.size, old.shape)) % seen.size]
    return other


def _padding(values: np.ndarray) -> np.ndarray | None:
    """Which steps along axis 1 are padding: zeros that run to the end of a sample. None where there are none.

    Returns:
        Booleans ``(samples, steps)``; no sample is padding altogether.
    """
    if values.ndim < 2:
        return None
    empty = (values == 0).reshape(*values.shape[:2], -1).all(axis=2)
    padding: np.ndarray = np.logical_and.accumulate(empty[:, ::-1], axis=1)[:, ::-1]
    padding = padding & ~padding.all(axis=1, keepdims=True)
    return padding if padding.any() else None


def _other_rows(values: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each of ``rows`` another sample's row that differs from its own, where there is one."""
    result: np.ndarray = values[rows]
    flat = values.reshape(len(values), -1)
    for place, row in enumerate(rows):
        others = np.flatnonzero((flat != flat[row]).any(axis=1))
        if others.size:
            result[place] = values[rng.choice(others)]
    return result


def _is_one_hot(values: np.ndarray) -> bool:
    if values.shape[-1] < 2 or values.dtype.kind not in "biuf":
        return False
    some = values[:1]
    if not ((some == 0) | (some == 1)).all():
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
    if spec.limit is not None:
        fresh = (old[same] + rng.integers(1, max(spec.limit, 2), old[same].shape)) % spec.limit
    elif kind in "fcV":
        fresh = (old[same] + fresh * np.maximum(1, np.abs(old[same]).max())).astype(new.dtype)
    elif kind == "b":
        fresh = ~old[same]
    elif kind in "iu":
        limit = spec.limit or int(old.max()) + 2
        fresh = ((old[same] + rng.integers(1, max(limit, 2), old[same].shape)) % limit).astype(new.dtype)
    new[same] = fresh.astype(new.dtype)
    return new
