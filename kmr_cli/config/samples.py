"""Which samples of a batch: an index as typed or as given in Python, against the size of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from kmr_cli.errors import BatchError

Index: TypeAlias = int | slice | Sequence[int | slice] | str
"""Which samples, counted from 0: ``4``, ``-1``, ``slice(0, 8)``, ``[1, 4, 7]``, or as text ``"0:8,11"``."""

_MOST = 64
"""Samples of synthetic data made without being asked: an index beyond is more likely a slip of the finger."""


def parse_index(text: str) -> list[int | slice]:
    """``4``, ``-1``, ``0:8``, ``1,4,7`` or a mixture, as typed on the command line.

    Raises:
        BatchError: it isn't any of these.
    """
    wrong = BatchError(f"not a sample index: {text!r}", "write 4, -1, 0:8 or 1,4,7; samples count from 0")
    result: list[int | slice] = []
    for part in text.split(","):
        start, colon, stop = part.strip().partition(":")
        try:
            if colon:
                result.append(slice(int(start) if start else None, int(stop) if stop else None))
            else:
                result.append(int(start))
        except ValueError:
            raise wrong from None
    return result


def resolve_index(index: Index, size: int) -> list[int]:
    """The samples that an index names in a batch of ``size``, each once, in the order given.

    Raises:
        BatchError: outside the batch, or nothing.
    """
    parts = _parts(index)
    samples: list[int] = []
    for part in parts:
        if isinstance(part, slice):
            samples.extend(range(size)[part])
        elif -size <= part < size:
            samples.append(int(part) % size)
        else:
            holds = "1 sample" if size == 1 else f"{size} samples"
            raise BatchError(
                f"index {part} is outside the batch, which holds {holds}",
                f"samples count from 0 to {size - 1}" if size > 1 else "its index is 0",
            )
    if not samples:
        raise BatchError(f"the index selects no sample of the batch of {size}")
    return list(dict.fromkeys(samples))


def least_size(index: Index) -> int:
    """How many samples a synthetic batch needs for an index to lie inside."""
    parts = _parts(index)
    needed = [1]
    for part in parts:
        ends = [part.stop, part.start] if isinstance(part, slice) else [part if part < 0 else part + 1]
        needed += [abs(end) for end in ends if end is not None]
    return min(max(needed), _MOST)


def least_number(index: Index, *, slices_are_filled: bool) -> int:
    """How many samples an index names at least, whatever the size of the batch.

    Args:
        index: as in :func:`resolve_index`.
        slices_are_filled: the batch is made as large as the index wants it.
    """
    parts = _parts(index)
    singles = {part for part in parts if not isinstance(part, slice)}
    for part in parts:
        if isinstance(part, slice) and slices_are_filled and None not in (part.start, part.stop):
            singles |= set(range(_MOST)[part])
    from_start = sum(single >= 0 for single in singles)
    return max(from_start, len(singles) - from_start, 1)  # 4 and -1 may be the same sample


def _parts(index: Index) -> list[int | slice]:
    if isinstance(index, str):
        return parse_index(index)
    given: Any = index
    parts: list[int | slice] = list(given) if isinstance(given, (Sequence, np.ndarray)) else [given]
    for part in parts:
        if isinstance(part, bool) or not isinstance(part, (int, np.integer, slice)):
            raise BatchError(
                f"not a sample index: {part!r}", "give 4, -1, slice(0, 8) or [1, 4, 7]; samples count from 0"
            )
    return parts
