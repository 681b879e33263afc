"""Value sketches: a few numbers per sample from which the size of a later difference can be estimated.

A count sketch (Charikar, Chen and Farach-Colton, "Finding frequent items in data streams", 2002): every element gets
a random sign and a random bucket, fixed by its place, and the elements of a bucket are added up. The sketch is linear,
so the distance of two sketches is the sketch of the difference, whose expected square norm is that of the difference
itself. Signs and buckets come from SplitMix64 (Steele, Lea and Flood, 2014), so that they are the same everywhere and
for ever.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from kmr_cli.records import BatchIndex, SampleSketch

WIDTH = 8
"""Buckets. The estimated norm has a relative standard deviation of about 1 / sqrt(2 * WIDTH)."""
MOST_PARTS = 8
"""Sketches per tap: of larger batches, several neighbouring samples share one."""
_LONG = 4096  # from so many elements on, eight at a time share a bucket: adding them up first is much faster
_FOLD = 8
_DIGITS = {2: 5, 4: 7, 8: 9}  # of a projected number, by bytes of the dtype: rounding must not hide a difference


def parts_of(value: np.ndarray, index: BatchIndex, size: int, sample: int) -> np.ndarray | None:
    """A tensor cut by samples.

    Args:
        value: the tensor.
        index: its batch index as proven for one sample.
        size: number of samples.
        sample: that sample.

    Returns:
        ``(size, share, …)``, a view where possible; None where the samples have no regular places.
    """
    axis = index.axis
    if axis is None:
        if index.kind in ("mixed", "unproven", "interleaved") and value.ndim and value.shape[0] == size:
            return value[:, None]
        return None
    length = value.shape[axis]
    if not length or length % size:
        return None
    share = length // size
    ahead = np.moveaxis(value, axis, 0)
    mine = [place for place, owner in enumerate(index.owners) if owner == sample]
    if mine == list(range(sample * share, (sample + 1) * share)):
        return ahead.reshape(size, share, *ahead.shape[1:])
    if mine == list(range(sample, length, size)):
        return np.moveaxis(ahead.reshape(share, size, *ahead.shape[1:]), 1, 0)
    return ahead[:, None] if share == 1 else None


def groups_of(size: int) -> list[range]:
    """Which samples share a sketch: each alone up to :data:`MOST_PARTS`, else neighbours together."""
    share = -(-size // MOST_PARTS)
    return [range(start, min(start + share, size)) for start in range(0, size, share)]


def sketch(value: np.ndarray) -> SampleSketch:
    """Figures, checksum and random projection of one array of any shape and dtype."""
    bits = checksum(value)
    if value.dtype.kind in "OSU":
        return SampleSketch(None, None, None, None, 0, bits, ())
    flat = np.ascontiguousarray(value).reshape(-1)
    if flat.dtype.kind == "c":
        flat = flat.view(flat.real.dtype)
    digits = _digits(flat.dtype)
    flat = flat.astype(np.float64) if flat.dtype != np.float32 else flat
    nonfinite = 0
    with np.errstate(over="ignore", invalid="ignore"):
        total = flat.sum()
    if not np.isfinite(total):  # one pass that is nearly always enough
        finite = np.isfinite(flat)
        nonfinite = int(flat.size - finite.sum())
        figures = _figures(flat[finite])
        flat = np.where(finite, flat, flat.dtype.type(0))
    else:
        figures = _figures(flat)
    return SampleSketch(*figures, nonfinite, bits, project(flat, digits))


def checksum(value: np.ndarray) -> str:
    """CRC-32 of the exact content (little-endian), as eight hexadecimal digits."""
    if value.dtype.kind in "OSU":
        content = b"\0".join(
            item if isinstance(item, bytes) else repr(item).encode() for item in value.ravel().tolist()
        )
        return f"{zlib.crc32(content):08x}"
    flat = np.ascontiguousarray(value).reshape(-1)
    if flat.dtype.byteorder == ">":
        flat = flat.astype(flat.dtype.newbyteorder("<"))
    return f"{zlib.crc32(flat.view(np.uint8).data):08x}"


def project(flat: np.ndarray, digits: int = 12) -> tuple[float, ...]:
    """The sketch of a float array of shape ``(n,)``: at most WIDTH numbers; the array itself where it is no longer."""
    if flat.size <= WIDTH:
        return tuple(_rounded(number, digits) for number in np.nan_to_num(flat.astype(np.float64)).tolist())
    signs, buckets = _codes(flat.size)
    signed = flat * signs[: flat.size]
    if flat.size >= _LONG:
        rows = -(-flat.size // _FOLD)
        if signed.size < rows * _FOLD:
            signed = np.concatenate([signed, np.zeros(rows * _FOLD - signed.size, signed.dtype)])
        signed = signed.reshape(_FOLD, rows).sum(axis=0, dtype=np.float64)
    with np.errstate(over="ignore"):
        sums = np.bincount(buckets[: signed.size], weights=signed, minlength=WIDTH)
    return tuple(_rounded(number, digits) for number in np.nan_to_num(sums).tolist())


def estimated_rms(first: Sequence[float], second: Sequence[float], count: int) -> float:
    """The root mean square of the difference of two arrays of ``count`` elements, from their sketches."""
    return math.dist(first, second) / math.sqrt(max(count, 1))


def resolution(projection: Sequence[float], dtype: str, count: int) -> float:
    """The largest :func:`estimated_rms` that comes from nothing but the rounding of the projected numbers."""
    digits = 12 if dtype == "string" else _digits(np.dtype(dtype))
    return 10.0 ** (1 - digits) * math.hypot(*projection) / math.sqrt(max(count, 1))


def _figures(flat: np.ndarray) -> tuple[float | None, float | None, float | None, float | None]:
    if not flat.size:
        return None, None, None, None
    low, high = float(flat.min()), float(flat.max())
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(flat.mean(dtype=np.float64))
        square = float(np.einsum("i,i->", flat, flat, dtype=np.float64)) / flat.size
    if not np.isfinite(mean):
        mean = low / 2 + high / 2
    rms = float(np.sqrt(square)) if np.isfinite(square) else max(-low, high)
    return tuple(_rounded(number, 6) for number in (low, high, mean, rms))  # type: ignore[return-value]


def _digits(dtype: np.dtype[Any]) -> int:
    """Of projected numbers; complex numbers count by their parts, and integers are exact."""
    if dtype.kind == "c":
        return _DIGITS[dtype.itemsize // 2]
    return _DIGITS.get(dtype.itemsize, 5) if dtype.kind in "fV" else 12


def _rounded(number: float, digits: int) -> float:
    return float(f"{number:.{digits}g}")


class _Codes:
    """Signs and buckets of the first so many places, made once and made longer when needed."""

    signs = np.empty(0, np.float32)
    buckets = np.empty(0, np.uint8)


def _codes(size: int) -> tuple[np.ndarray, np.ndarray]:
    if size > _Codes.signs.size:
        raw = _splitmix64(np.arange(max(size, 2 * _Codes.signs.size), dtype=np.uint64))
        _Codes.signs = np.where(raw >> np.uint64(63), np.float32(1), np.float32(-1))
        # Other bits of the same words, which are as good as independent of the highest.
        _Codes.buckets = (raw & np.uint64(WIDTH - 1)).astype(np.uint8)
    return _Codes.signs, _Codes.buckets


def _splitmix64(counter: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        state = (counter + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed: np.ndarray = state ^ (state >> np.uint64(31))
    return mixed
