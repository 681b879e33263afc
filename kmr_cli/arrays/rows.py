"""Rows whose order the samples' content decides: sorting by length or score, and experts, do that.

A kernel may round a row in its last bits by where in the batch the row stands, so such an order shows even where it is
undone later.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from kmr_cli.arrays.digests import digests


def same_rows_elsewhere(before: np.ndarray, after: np.ndarray, replaced: int) -> bool | None:
    """Whether a tensor holds the rows that it held, some at other places, but for those of replaced samples.

    Args:
        before: of the unchanged batch, samples along axis 0 in whatever order.
        after: of the same shape, with ``replaced`` of the rows belonging to replaced samples.
        replaced: number of rows.

    Returns:
        None where no more rows changed than were replaced, which says nothing.
    """
    length = len(before)
    first, second = (digests(np.ascontiguousarray(value), length, range(length)) for value in (before, after))
    if first is None or second is None or sum(a != b for a, b in zip(first, second, strict=True)) <= replaced:
        return None
    # Of rows that are equal to each other none can be told to have gone elsewhere.
    return len(set(first)) == length and sum((Counter(first) & Counter(second)).values()) >= length - replaced
