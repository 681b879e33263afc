"""Other valid data in the place of chosen samples: the question put to the model.

Batch size and shapes stay as they are, so a kernel does the same arithmetic for every sample that is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from kmr_cli.arrays.masks import forbidding_value, padded_steps
from kmr_cli.batch.contents import hides_steps, orders_steps, sorted_samples, whole_places
from kmr_cli.batch.sparse import redraw
from kmr_cli.batch.synthetic import draw
from kmr_cli.records import Batch, TensorSpec

_TRIES = 4
"""Draws of a number that is to be another one than before."""


def replace(
    batch: Batch,
    samples: Iterable[int],
    specs: tuple[TensorSpec, ...],
    rng: np.random.Generator,
    spare: Batch | None = None,
) -> dict[str, np.ndarray]:
    """A copy of ``batch`` in which exactly ``samples`` hold other valid data.

    Other rows of the user's file come first (``spare``). Failing that, floats are drawn anew per feature, with
    the batch's own mean and scale, clipped to the range seen; integers and text from the values that occur, whole
    numbers among floats likewise: they may be ids. One-hot vectors stay one-hot; masks, positions and segments become
    another sample's row; lengths in order stay in order; and a padded sequence gets the length of another sample: so
    masks react too. A sparse input keeps its number of values, and takes none of ``spare``. Never a permutation of the
    replaced rows: a batch mean would not move.

    Args:
        batch: input name -> array, samples along axis 0.
        samples: which rows to replace.
        specs: the model's inputs (for the range of integers).
        rng: the source of chance.
        spare: rows of the same inputs that are not in ``batch``; used where there is at least one for every
            replaced row.
    """
    rows = np.fromiter(samples, dtype=np.intp)
    result = {spec.name: np.array(batch[spec.name], copy=True) for spec in specs}
    if not rows.size:
        return result
    picks = None
    if spare:
        available = next(iter(spare.values())).shape[0]
        if available >= rows.size:
            picks = rng.permutation(available)[: rows.size]
    lengths = {spec.lengths for spec in specs}
    for spec in specs:
        if spec.name in lengths:
            continue  # else no value inside of the model had the same shape again
        values = batch[spec.name]
        if spec.sparse:
            new = redraw(values, rows, spec, rng)
        else:
            new = spare[spec.name][picks] if spare and picks is not None else _redraw(values, rows, spec, rng)
        result[spec.name][rows] = new
    same = {spec.name: _alike(batch[spec.name][rows], result[spec.name][rows]) for spec in specs}
    every = np.logical_and.reduce(list(same.values()))
    for spec in specs:
        if spec.name in lengths or spec.sparse:
            continue
        values = result[spec.name]
        values[rows] = _really_different(values, rows, same[spec.name], every, spec, rng)
    return result


def copies(batch: Batch, samples: Iterable[int]) -> dict[str, np.ndarray]:
    """A copy of ``batch`` in which each of ``samples`` is the nearest other sample that is kept, whole.

    For models that are particular about their data: such rows are as valid as those of the batch, what belongs to
    each other in several inputs still does, and samples in order stay in order.
    """
    replaced = set(samples)
    size = next(iter(batch.values())).shape[0]
    rows = list(range(size))
    for row in replaced:
        kept = [other for other in (*range(row - 1, -1, -1), *range(row + 1, size)) if other not in replaced]
        differing = (
            other for other in kept if any(not _alike(values[[row]], values[[other]])[0] for values in batch.values())
        )
        rows[row] = next(differing, row)
    return {name: np.array(values[rows], copy=True) for name, values in batch.items()}


def _alike(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Which rows are the same."""
    return np.asarray((old == new).reshape(len(old), -1).all(axis=1))


def _redraw(values: np.ndarray, rows: np.ndarray, spec: TensorSpec, rng: np.random.Generator) -> np.ndarray:
    kind = values.dtype.kind
    if values.ndim > 1 and _is_one_hot(values):
        return rng.permuted(values[rows], axis=-1)
    if kind == "b" or (kind in "iufV" and (hides_steps(values) or orders_steps(values))):
        return _other_rows(values, rows, rng)
    if kind in "iufV" and sorted_samples(values):
        return _beside(values, rows, rng)
    padding = None if kind == "O" else _padding(values)
    fresh = _other_numbers(values, rows, spec, rng, None if padding is None else padding.value)
    if padding is not None:
        steps = np.moveaxis(fresh, padding.axis, 1)
        steps[_other_rows(padding.steps, rows, rng)] = padding.value
    return fresh


def _other_numbers(
    values: np.ndarray, rows: np.ndarray, spec: TensorSpec, rng: np.random.Generator, padding: float | None
) -> np.ndarray:
    """For every element of ``rows`` a value that its place may hold."""
    old, kind = values[rows], values.dtype.kind
    if kind == "O" or ((kind in "iu" or spec.counts) and spec.limit is not None and "limit" not in spec.presumed):
        return _other_values(values, old, rng, padding)
    if kind in "iu" or spec.counts:
        return _at_same_places(values, rows, rng, padding)
    if kind == "c":
        real = _other_floats(values.real, old.real, rng)
        return np.asarray(real + 1j * _other_floats(values.imag, old.imag, rng), dtype=values.dtype)
    counted = values if padding is None else np.where(values == padding, np.asarray(np.nan, values.dtype), values)
    fresh, whole = _other_floats(counted, old, rng), whole_places(values)
    if whole.any():
        fresh[:, whole] = _at_same_places(values[:, whole], rows, rng, padding)
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


def _other_values(
    values: np.ndarray, old: np.ndarray, rng: np.random.Generator, padding: float | None = None
) -> np.ndarray:
    """Of all values that occur: every place may hold each of them, but for what stands for padding."""
    seen = np.unique(values)
    if padding is not None:
        seen = seen[seen != padding]
    if seen.size < 2:
        return np.full_like(old, seen[0])
    place = np.clip(np.searchsorted(seen, old), 0, seen.size - 1)
    other: np.ndarray = seen[(place + rng.integers(1, seen.size, old.shape)) % seen.size]
    return other


def _at_same_places(
    values: np.ndarray, rows: np.ndarray, rng: np.random.Generator, padding: float | None
) -> np.ndarray:
    """Of the values that other samples hold at the same place: each may be an index of another table."""
    flat = values.reshape(len(values), -1)
    old, places = flat[rows], np.arange(flat.shape[1])
    fresh = np.array(old)
    for _ in range(_TRIES):
        drawn = flat[rng.integers(0, len(flat), fresh.shape), places]
        keep = drawn != (np.nan if padding is None else padding)
        fresh = np.where(((fresh == old) | (fresh == padding)) & keep, drawn, fresh)
    for row in rng.permutation(len(flat)):  # where chance drew the same again, whatever another sample holds
        if not (fresh == old).any():
            break
        fresh = np.where((fresh == old) & (flat[row] != (np.nan if padding is None else padding)), flat[row], fresh)
    for place in np.flatnonzero((fresh == padding).any(axis=0)) if padding is not None else ():
        counted = flat[:, place][flat[:, place] != padding]
        away = fresh[:, place] == padding
        if counted.size:
            fresh[away, place] = rng.choice(counted, int(away.sum()))
    return np.asarray(fresh.reshape(values[rows].shape))


def _beside(values: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What the next sample that is kept holds, all from the same side: so that samples in order stay in order."""
    kept = np.setdiff1d(np.arange(len(values)), rows)
    if not kept.size:
        return np.asarray(values[rows])
    above = bool(rng.integers(2))
    at = np.searchsorted(kept, rows) - (0 if above else 1)
    result: np.ndarray = values[kept[np.clip(at, 0, len(kept) - 1)]]
    return result


class _Padding(NamedTuple):
    """Steps of an input that hold nothing but one value, to the end of a sample.

    Attributes:
        steps: which, ``(samples, steps)``; of no sample all.
        axis: that they lie along.
        value: what they hold.
    """

    steps: np.ndarray
    axis: int
    value: float


def _padding(values: np.ndarray) -> _Padding | None:
    """Padding by zeros, or by what else many samples end with; None where there is none."""
    if values.ndim < 2:
        return None
    empty = (values == 0).reshape(*values.shape[:2], -1).all(axis=2)
    steps: np.ndarray = np.logical_and.accumulate(empty[:, ::-1], axis=1)[:, ::-1]
    steps = steps & ~steps.all(axis=1, keepdims=True)
    if steps.any():
        return _Padding(steps, 1, 0)
    found = padded_steps(values)
    if found is None:
        return None
    return _Padding(np.arange(values.shape[found.axis])[None] >= found.counts[:, None], found.axis, found.value)


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


def _really_different(
    values: np.ndarray,
    rows: np.ndarray,
    same: np.ndarray,
    every: np.ndarray,
    spec: TensorSpec,
    rng: np.random.Generator,
) -> np.ndarray:
    """Where a replaced row came out as it was (all samples alike), draw it from the input's whole range.

    Flags get another end instead. Integers of which nobody knows how large they may be stay as they are where another
    input of the sample did change: the same positions, or one type of token, for every sample.

    Args:
        values: the input with its replaced rows.
        rows: which these are.
        same: which of them came out as they were.
        every: of which of them all inputs did.
        spec: of the input.
        rng: the source of chance.
    """
    new: np.ndarray = values[rows]
    kind, known = new.dtype.kind, spec.limit is not None and "limit" not in spec.presumed
    if forbidding_value(values) is not None:
        return new
    if hides_steps(values) and (spec.limit or 2) > 1:
        steps = new.reshape(len(new), -1)
        for row in np.flatnonzero(same):
            end = int(rng.integers(1, steps.shape[1]))
            steps[row, end:] = 1 - steps[row, end - 1].astype(np.int8)
        return steps.reshape(new.shape)
    if not known and (kind in "biu" or spec.counts):
        same = same & every
    if not same.any():
        return new
    old = new[same]
    fresh = draw(spec, old.shape, rng)
    if spec.limit is not None:
        fresh = (old + rng.integers(1, max(spec.limit, 2), old.shape)) % spec.limit
    elif kind in "fcV":
        fresh = (old + fresh * np.maximum(1, np.abs(old).max())).astype(new.dtype)
    elif kind == "b":
        fresh = ~old
    elif kind in "iu":
        limit = int(old.max()) + 2
        fresh = (old + rng.integers(1, max(limit, 2), old.shape)) % limit
    new[same] = fresh.astype(new.dtype)
    return new
