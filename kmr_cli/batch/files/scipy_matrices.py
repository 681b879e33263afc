"""Sparse matrices in ``.npz`` files, as ``scipy.sparse.save_npz`` writes them.

They are read here rather than by SciPy, whose code trusts the places that a file names: a wrong one writes into memory
that belongs to something else.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from kmr_cli.batch.files.source import refuse_large
from kmr_cli.config.reading import Rows
from kmr_cli.errors import BatchError

_PARTS = {"csr": ("indices", "indptr"), "csc": ("indices", "indptr"), "coo": ("row", "col")}
"""By the name of a layout, where its values stand."""
_ALWAYS = frozenset({"format", "shape", "data"})


def is_matrix(names: Collection[str]) -> bool:
    """Whether an archive with arrays of these names holds a sparse matrix."""
    return set(names) >= _ALWAYS


def dense(arrays: Mapping[str, np.ndarray], rows: Rows | None, path: Path) -> np.ndarray:
    """The matrix, or some of its rows, with zeros where it holds nothing; of several values at one place the sum.

    Args:
        arrays: of the archive.
        rows: those that are wanted.
        path: of the file.

    Raises:
        BatchError: another layout, a place outside of the matrix, or too large for the memory when it is dense.
    """
    layout = arrays["format"].item() if arrays["format"].ndim == 0 else None
    name = layout.decode("ascii", "replace") if isinstance(layout, bytes) else str(layout)
    if name not in _PARTS:
        raise BatchError(f"{path}: a sparse matrix in the layout {name[:20]!r}", "save it as csr: matrix.tocsr()")
    values, shape = arrays["data"], tuple(int(size) for size in arrays["shape"].ravel())
    places = _places(name, arrays, shape)
    if places is None or values.ndim != 1 or values.dtype.kind not in "biufc":
        raise BatchError(f"{path}: not a sparse matrix, or a damaged one", "write it with scipy.sparse.save_npz")
    wanted = slice(0, shape[0]) if rows is None else rows.within(shape[0], str(path))
    shape = (wanted.stop - wanted.start, *shape[1:])
    refuse_large(math.prod(shape) * values.dtype.itemsize, path)
    chosen = (places[0] >= wanted.start) & (places[0] < wanted.stop)
    result = np.zeros(shape, values.dtype)
    np.add.at(result, (places[0][chosen] - wanted.start, places[1][chosen]), values[chosen])
    return result


def _places(
    layout: str, arrays: Mapping[str, np.ndarray], shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Row and column of every value; None where they are not those of such a matrix."""
    first, second = (arrays.get(part, np.empty(0, object)) for part in _PARTS[layout])
    whole = all(one.ndim == 1 and one.dtype.kind in "iu" for one in (first, second))
    if not whole or len(shape) != 2 or min(shape) < 0:
        return None
    if layout != "coo":
        starts, size = second.astype(np.int64), shape[0 if layout == "csr" else 1]
        lengths = np.diff(starts)
        if len(starts) != size + 1 or starts[0] != 0 or (lengths < 0).any() or starts[-1] != len(first):
            return None
        major = np.repeat(np.arange(size), lengths)
        first, second = (major, first) if layout == "csr" else (first, major)
    if not len(first) == len(second) == len(arrays["data"]):
        return None
    for places, size in zip((first, second), shape, strict=True):
        if len(places) and not 0 <= int(places.min()) <= int(places.max()) < size:
            return None
    return first.astype(np.int64), second.astype(np.int64)
