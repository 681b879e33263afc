"""Ragged and sparse tensors that a model returns, taken apart into what each sample of the batch gets.

Their parts hold the rows of all samples, in a row: where a row begins depends on the rows before it, so that no part
has an axis for the samples. A row of the whole belongs to one sample all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np

Part: TypeAlias = "tuple[str, np.ndarray, int | None]"
"""Name, array, and number of the sample whose it is; None where it holds those of all samples."""

_RAGGED = (".values", ".row_splits")
_SPARSE = (".indices", ".values", ".shape")


def by_sample(parts: Mapping[str, np.ndarray], size: int | None) -> Iterator[Part]:
    """What a model returned, with each ragged or sparse tensor taken apart into its rows.

    Args:
        parts: by name; of a ragged tensor ``y`` they are ``y.values, y.row_splits`` (``y.row_splits1`` for the next
            inner level, …), of a sparse one ``y.indices, y.values, y.shape``.
        size: samples of the batch; None for what is one sample's. A tensor with another number of rows stays as it is.

    Yields:
        A ragged tensor's rows as ``y.0, y.1, …``; ``y.0.values, y.0.row_splits`` where those are ragged themselves. A
        sparse one's as ``y.0.indices, y.0.values, y.0.shape``, without the axis of the samples. All else as it is.
    """
    done: set[str] = set()
    for name, array in parts.items():
        if name in done:
            continue
        stem = name.rsplit(".", 1)[0]
        splits = list(_splits(parts, stem)) if name == stem + _RAGGED[0] else []
        if splits and size is not None and len(splits[0]) == size + 1 and _fit(array, splits):
            done |= {name, *(stem + _RAGGED[1] + (str(level) if level else "") for level in range(len(splits)))}
            yield from _rows(stem, array, splits)
            continue
        rows = _sparse_rows(parts, stem, size) if name == stem + _SPARSE[0] else None
        if rows is not None:
            done |= {stem + suffix for suffix in _SPARSE}
            yield from rows
            continue
        yield name, array, None


def _splits(parts: Mapping[str, np.ndarray], stem: str) -> Iterator[np.ndarray]:
    """Row splits, the outermost first."""
    level = 0
    while (name := stem + _RAGGED[1] + (str(level) if level else "")) in parts:
        yield parts[name]
        level += 1


def _fit(values: np.ndarray, splits: Sequence[np.ndarray]) -> bool:
    """Whether each level of rows begins at 0, never falls, and ends with as many as there are on the next."""
    lengths = [*(len(inner) - 1 for inner in splits[1:]), len(values) if values.ndim else -1]
    return all(
        one.ndim == 1
        and one.dtype.kind in "iu"
        and len(one)
        and not one[0]
        and one[-1] == length
        and np.all(one[:-1] <= one[1:])
        for one, length in zip(splits, lengths, strict=True)
    )


def _rows(name: str, values: np.ndarray, splits: Sequence[np.ndarray]) -> Iterator[Part]:
    for sample, (first, end) in enumerate(pairwise(splits[0].tolist())):
        piece = f"{name}.{sample}"
        if len(splits) == 1:
            yield piece, np.array(values[first:end]), sample
            continue
        begin, inner = first, []
        for level in splits[1:]:
            cut = level[begin : end + 1]
            inner.append(cut - cut[0])
            begin, end = int(cut[0]), int(cut[-1])
        yield piece + _RAGGED[0], np.array(values[begin:end]), sample
        for number, level in enumerate(inner):
            yield f"{piece}{_RAGGED[1]}{number or ''}", level, sample


def _sparse_rows(parts: Mapping[str, np.ndarray], stem: str, size: int | None) -> list[Part] | None:
    """The rows of a sparse tensor with one a sample; None where it is none, or its values stand in another order."""
    if any(stem + suffix not in parts for suffix in _SPARSE):
        return None
    indices, values, shape = (parts[stem + suffix] for suffix in _SPARSE)
    fits = indices.ndim == 2 and values.ndim == 1 and shape.ndim == 1 and indices.shape == (len(values), len(shape))
    if not fits or size is None or not len(shape) or shape[0] != size:
        return None
    rows = indices[:, 0]
    if len(rows) and (rows[0] < 0 or rows[-1] >= shape[0] or np.any(rows[:-1] > rows[1:])):
        return None
    splits = np.searchsorted(rows, np.arange(size + 1))
    whole: dict[str, np.ndarray] = {_SPARSE[0]: indices[:, 1:], _SPARSE[1]: values}
    found: list[Part] = []
    for sample, (first, end) in enumerate(pairwise(splits.tolist())):
        found += [(f"{stem}.{sample}{suffix}", np.array(part[first:end]), sample) for suffix, part in whole.items()]
        found.append((f"{stem}.{sample}{_SPARSE[2]}", shape[1:], sample))
    return found
