"""Fresh, aligned copies of input arrays: what every adapter feeds."""

from __future__ import annotations

import math

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
    copy = aligned_empty(array.shape, array.dtype)
    copy[...] = array
    return copy


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """A C-contiguous array that holds anything, whose first byte lies on a multiple of 64; not for object arrays."""
    size = math.prod(shape) * dtype.itemsize
    buffer = np.empty(size + ALIGNMENT, dtype=np.uint8)
    start = -buffer.ctypes.data % ALIGNMENT
    found: np.ndarray = buffer[start : start + size].view(dtype).reshape(shape)
    return found
