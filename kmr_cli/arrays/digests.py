"""Digests of tensors: to see that one did not change without reading what it was before.

A check compares every tensor of every pass with that of the unchanged batch. What a layer has just returned is still
in the processor's cache, and what it returned before no longer is: to digest the one costs a fourth of reading both.

Digests are XXH3 with 128 bits (Y. Collet, https://xxhash.com) and a random seed for every process, so that no file can
be made to have two tensors with one digest. Equal digests are taken for equal bits; different ones only say that the
values have to be looked at (0.0 and -0.0 are equal, and so are two NaN).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
from xxhash import xxh3_128, xxh3_128_digest

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
        self._digests = digests(array, parts, range(parts))

    def same(self, array: np.ndarray, asked: Sequence[int] | None = None) -> bool:
        """Whether a tensor, or some parts of it, are the same bit by bit, for certain: False if that is not known."""
        return not self.doubtful(array, range(self.parts) if asked is None else asked)

    def doubtful(self, array: np.ndarray, asked: Sequence[int]) -> list[int]:
        """Those of the parts asked for that have other bits, or of which that cannot be told."""
        known = self._digests
        if known is None or array.shape != self._shape or array.dtype != self._dtype:
            return list(asked)
        found = digests(array, self.parts, asked)
        if found is None:
            return list(asked)
        return [part for part, digest in zip(asked, found, strict=True) if digest != known[part]]


def digest(array: np.ndarray) -> bytes:
    """Of a whole tensor of any layout, its shape and dtype included; text too."""
    found = xxh3_128(f"{array.shape} {_named(array.dtype)}".encode(), _SEED)
    if array.dtype.hasobject:
        found.update(repr(array.tolist()).encode())
    else:
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return found.digest()


@cache
def _named(dtype: np.dtype) -> str:
    """NumPy takes longer to name a dtype than a digest takes."""
    return str(dtype)


def digests(array: np.ndarray, parts: int, asked: Iterable[int]) -> list[bytes] | None:
    """Those of some parts of a tensor, which is divided along axis 0.

    Returns:
        None for text; and for one part whose memory has gaps, as that would have to be copied as a whole.
    """
    if array.dtype.hasobject:
        return None
    if array.flags.c_contiguous:
        data = array.reshape(-1).view(np.uint8).data
        length = len(data) // parts
        return [xxh3_128_digest(data[part * length : (part + 1) * length], _SEED) for part in asked]
    if parts == 1:
        return None
    length = len(array) // parts
    pieces = (np.ascontiguousarray(array[part * length : (part + 1) * length]) for part in asked)
    return [xxh3_128_digest(piece.reshape(-1).view(np.uint8).data, _SEED) for piece in pieces]
