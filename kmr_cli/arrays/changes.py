"""Which elements of two arrays differ: bitwise in meaning, NaN equal to NaN, never a tolerance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Boolean mask, the shape of both: where two values differ, NaN counted equal to NaN."""
    if before.dtype == object:
        return np.asarray(before != after, dtype=bool)
    with np.errstate(invalid="ignore"):
        return np.asarray((before != after) & ~((before != before) & (after != after)), dtype=bool)


_FIRST, _PIECE = 1 << 12, 1 << 17
"""Elements that are compared at once: few at first, as most differences show there; never more than a cache holds."""
_SHORT = 1 << 13
"""Bytes."""


def differences(before: np.ndarray, after: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """What :func:`changed` says of two arrays of one shape, piece by piece, at the speed of memory where they agree.

    Args:
        before: contiguous in C order.
        after: any layout.

    Yields:
        A range of the flattened arrays and the mask there, for every piece in which something changed.
    """
    flat = before.reshape(-1)
    row = before.size // len(before) if before.ndim and before.size else 1
    whole = after.reshape(-1) if after.flags.c_contiguous else None
    plain = before.dtype != object and before.dtype == after.dtype
    stop, step = 0, _FIRST
    while stop < flat.size:
        start, stop = stop, stop + (step if whole is not None else row * max(1, step // row))
        step = min(4 * step, _PIECE)
        place = slice(start, min(stop, flat.size))
        old = flat[place]
        if whole is not None:
            new = whole[place]
        else:  # copied a few rows at a time
            new = np.ascontiguousarray(after[start // row : place.stop // row]).reshape(-1)
        if plain and _same_bits(old, new):
            continue
        mask = changed(old, new)
        if mask.any():
            yield place, mask


def _same_bits(first: np.ndarray, second: np.ndarray) -> bool:
    """Of two contiguous arrays of one dtype."""
    if first.nbytes <= _SHORT:
        return first.tobytes() == second.tobytes()
    word = np.uint64 if first.nbytes % 8 == 0 else np.uint8
    return bool((first.view(word) == second.view(word)).all())


def is_short(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether two arrays are so short, and lie in memory so, that looking at all of them costs less than to begin."""
    return (
        before.nbytes <= _SHORT
        and before.dtype == after.dtype
        and not before.dtype.hasobject
        and before.flags.c_contiguous
        and after.flags.c_contiguous
    )


def differs(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether anything :func:`changed`; arguments as for :func:`differences`."""
    if is_short(before, after):
        return not _same_bits(before, after) and bool(changed(before, after).any())
    if before.dtype.kind in "fiu" and before.size and after.flags.c_contiguous:
        with np.errstate(invalid="ignore"):
            if (before.reshape(-1)[:_FIRST] < after.reshape(-1)[:_FIRST]).any():  # nearly always, where it changed
                return True
    return next(differences(before, after), None) is not None
