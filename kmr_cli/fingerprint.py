"""Digests of tensors: to see that one did not change without reading what it was before.

A check compares every tensor of every pass with that of the unchanged batch. What a layer has just returned is still
in the processor's cache, and what it returned before no longer is: to digest the one costs a fourth of reading both.

Digests are XXH3 with 128 bits (Y. Collet, https://xxhash.com) and a random seed for every process, so that no file can
be made to have two tensors with one digest. Equal digests are taken for equal bits; different ones only say that the
values have to be looked at (0.0 and -0.0 are equal, and so are two NaN).
"""

from __future__ import annotations

import secrets
from collections.abc import Collection

import numpy as np
from xxhash import xxh3_128_digest

_SEED = secrets.randbits(64)


class Fingerprint:
    """What a tensor held.

    Args:
        array: the tensor.
        parts: into how many pieces of the same length it is divided, along axis 0; each has a digest of its own.
    """

    def __init__(self, array: np.ndarray, parts: int = 1) -> None:
        self.parts = parts
        self._dtype, self._shape = array.dtype, array.shape
        data = _bytes(np.ascontiguousarray(array))
        self._digests = None if data is None else [_digest(data, parts, part) for part in range(parts)]

    def same(self, array: np.ndarray) -> bool:
        """Whether a tensor is the same bit by bit, for certain: False if that cannot be told."""
        return all(self.same_parts(array))

    def same_parts(self, array: np.ndarray, only: Collection[int] | None = None) -> list[bool]:
        """:meth:`same` of every part; False for those that are not asked for."""
        parts = self.parts
        if array.shape != self._shape or array.dtype != self._dtype or self._digests is None:
            return [False] * parts
        data = _bytes(array)
        if data is None:
            return [False] * parts
        return [
            (only is None or part in only) and _digest(data, parts, part) == self._digests[part]
            for part in range(parts)
        ]


def all_alike(array: np.ndarray, parts: int) -> bool:
    """Whether the parts of a tensor, divided along axis 0, are the same bit by bit; False if that cannot be told."""
    data = _bytes(array)
    return data is not None and len({_digest(data, parts, part) for part in range(parts)}) == 1


def _digest(data: memoryview, parts: int, part: int) -> bytes:
    length = len(data) // parts
    return xxh3_128_digest(data[part * length : (part + 1) * length], _SEED)


def _bytes(array: np.ndarray) -> memoryview | None:
    """What is in a tensor; None for text, and for memory with gaps."""
    if array.dtype.hasobject or not array.flags.c_contiguous:
        return None
    return array.reshape(-1).view(np.uint8).data
