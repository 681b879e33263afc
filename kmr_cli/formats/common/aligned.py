"""Fresh, aligned copies of input arrays: what every adapter feeds."""

from __future__ import annotations

import numpy as np

ALIGNMENT = 64
"""Bytes. Vectorised kernels choose their path by the address: a matrix-vector product differed in one element
between two addresses, which would look like a change of the data."""


def aligned_copy(array: np.ndarray) -> np.ndarray:
    """A C-contiguous, writable copy of ``array`` whose first byte lies on a multiple of 64.

    Object arrays (text) are copied as they are: they hold references, no numbers.
    """
    if array.dtype.hasobject:
        return np.array(array, order="C", copy=True)
    buffer = np.empty(array.nbytes + ALIGNMENT, dtype=np.uint8)
    start = -buffer.ctypes.data % ALIGNMENT
    copy: np.ndarray = buffer[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
