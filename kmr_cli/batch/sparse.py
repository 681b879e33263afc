"""Samples of which only what isn't zero reaches the model, for inputs that are sparse: how many values stays as it is.

A model sees such an input as one row a value. Were there more or fewer of them, no tensor inside of it would have the
shape it had.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kmr_cli.arrays.sparsity import present
from kmr_cli.records import Batch, TensorSpec

_MOST = 12
"""Values of a made-up sample, at most."""
_TRIES = 4
"""Draws of places that are to be other ones than before."""


def counts(values: np.ndarray) -> np.ndarray:
    """How many values each sample holds, ``(batch,)``."""
    return np.asarray(present(values).reshape(len(values), -1).sum(axis=1))


def in_places(before: Batch, after: dict[str, np.ndarray], specs: Sequence[TensorSpec]) -> dict[str, np.ndarray]:
    """``after`` with nothing where ``before``, of as many samples, holds nothing, and something wherever it does."""
    result = dict(after)
    for spec in specs:
        if spec.sparse and spec.name in after:
            old, new = np.asarray(before[spec.name]), after[spec.name]
            held = present(old)
            result[spec.name] = np.where(held, np.where(present(new), new, old), _nothing(old))
    return result


def thinned(values: np.ndarray, spec: TensorSpec, rng: np.random.Generator) -> np.ndarray:
    """A few of the values that were made up, of each sample another number of them, and zeros beside."""
    flat = values.reshape(len(values), -1)
    result = np.full_like(flat, _nothing(values))
    if not flat.shape[1]:
        return values
    most = min(flat.shape[1], _MOST)
    wanted = rng.permutation(np.linspace(1, most, len(flat)).round().astype(int)) if len(flat) > 1 else [most]
    for row, count in enumerate(wanted):
        places = rng.choice(flat.shape[1], count, replace=False)
        drawn = flat[row, places]
        if drawn.dtype.kind in "biuf" and (spec.limit or 2) > 1:
            drawn = np.where(present(drawn), drawn, np.ones((), drawn.dtype))
        result[row, places] = drawn
    return result.reshape(values.shape)


def redraw(values: np.ndarray, rows: np.ndarray, spec: TensorSpec, rng: np.random.Generator) -> np.ndarray:
    """Other valid samples, each of as many values as it had, at other places where it may have them.

    Places are among those at which some sample holds a value. Where all samples are filled from the front, as lists of
    words are, they stay.

    Args:
        values: all samples.
        rows: which to make others of.
        spec: the input.
        rng: the source of chance.

    Returns:
        One sample for each of ``rows``.
    """
    held = present(values)
    seen = values[held]
    flat, flat_held = values.reshape(len(values), -1), held.reshape(len(values), -1)
    usable = np.flatnonzero(flat_held.any(axis=0))
    packed = values.ndim > 1 and not (held[..., 1:] & ~held[..., :-1]).any()
    result = np.full((len(rows), flat.shape[1]), _nothing(values), values.dtype)
    for place, row in enumerate(rows):
        own = np.flatnonzero(flat_held[row])
        there = own
        for _ in range(_TRIES if not packed and len(own) < len(usable) else 0):
            there = np.sort(rng.choice(usable, len(own), replace=False))
            if not np.array_equal(there, own):
                break
        new = _other(flat[row, own], seen, rng)
        if np.array_equal(there, own) and np.array_equal(new, flat[row, own]):
            new = _further(new, spec, rng)
        result[place, there] = new
    return result.reshape(len(rows), *values.shape[1:])


def _other(old: np.ndarray, seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of floats such as occur; of all else, whole numbers among floats too, values that occur."""
    if not old.size:
        return old
    kind = old.dtype.kind
    if kind in "fVc":
        wide = seen.astype(np.complex128 if kind == "c" else np.float64)
        finite = wide[np.isfinite(wide)]
        if finite.size and (kind == "c" or (finite != np.floor(finite)).any()):
            fresh = finite.mean() + finite.std() * rng.standard_normal(old.shape)
            if kind != "c":
                fresh = np.clip(fresh, finite.min(), finite.max())
            fresh = fresh.astype(old.dtype)
            return np.where(present(fresh), fresh, old)
    distinct = np.unique(seen)
    if len(distinct) < 2:
        return old
    at = np.clip(np.searchsorted(distinct, old), 0, len(distinct) - 1)
    return np.asarray(distinct[(at + rng.integers(1, len(distinct), old.shape)) % len(distinct)])


def _further(old: np.ndarray, spec: TensorSpec, rng: np.random.Generator) -> np.ndarray:
    """Values that don't occur, where all that do are the same."""
    kind, known = old.dtype.kind, spec.limit is not None and "limit" not in spec.presumed
    if kind == "O":
        fresh = np.empty_like(old)
        fresh[:] = [b"word%d" % number for number in rng.integers(0, 1000, old.shape)]
        return fresh
    if known and (kind in "iu" or spec.counts):
        assert spec.limit is not None
        number = old.astype(np.int64)
        span = max(spec.limit - 1, 1)
        return np.asarray((1 + (number - 1 + rng.integers(1, max(span, 2), old.shape)) % span).astype(old.dtype))
    if kind in "iu" or spec.counts:
        return np.asarray(np.where(present(old + 1), old + 1, old).astype(old.dtype))
    if kind == "b":
        return old
    fresh = (old + rng.standard_normal(old.shape) * np.maximum(1, np.abs(old))).astype(old.dtype)
    return np.where(present(fresh), fresh, old)


def _nothing(values: np.ndarray) -> Any:
    return b"" if values.dtype.kind == "O" else np.zeros((), values.dtype)[()]
