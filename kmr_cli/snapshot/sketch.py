"""Value sketches: a few numbers per sample from which the size of a later difference can be estimated.

A random projection in the form of a count sketch (Charikar, Chen and Farach-Colton, "Finding frequent items in data
streams", 2002): every element gets a random bucket and a random multiplier, fixed by its place, and the products of a
bucket are added up. The sketch is linear, so the distance of two sketches is the sketch of the difference, whose
expected square norm is that of the difference itself, since the multipliers have a mean square of 1.

The multipliers are signs times magnitudes between 0.5 and 1.43. With signs alone, two swapped elements (+d at one
place, -d at another) leave nothing behind where both share bucket and sign. Within a bucket the magnitudes follow the
additive recurrence of the golden ratio (Weyl 1916; Knuth, "The Art of Computer Programming", vol. 3, 6.4), so that
those of near places always differ well: the size of any one swap among up to 64 elements is estimated as 1/28 of what
it is at least (measured), among up to 512 as 1/200. Signs and buckets come from SplitMix64 (Steele, Lea and Flood,
2014), and the rest is arithmetic of integers, so that they are the same everywhere and for ever.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from kmr_cli.records import BatchIndex, SampleSketch

WIDTH = 8
"""Buckets. The estimated norm of a dense difference has a relative standard deviation of about 1 / sqrt(2 * WIDTH)."""
MOST_PARTS = 8
"""Sketches per tap: of larger batches, several neighbouring samples share one."""
_LONG = 4096  # from so many elements on, eight at a time share a bucket: adding them up first is much faster
_FOLD = 8
_DIGITS = {2: 5, 4: 7, 8: 9}  # of the largest projected number, by bytes: rounding must not hide a difference
_WHOLE_DIGITS = 7  # of integers: whether they are equal the checksum tells
_GOLDEN = 0x9E3779B97F4A7C15  # 2**64 / golden ratio
_LOW, _HIGH = 2048, 5845  # magnitudes in units of 2**-12: 0.5 to (3 * sqrt(5) - 1) / 4, whose mean square is 1


def parts_of(value: np.ndarray, index: BatchIndex, size: int, sample: int) -> np.ndarray | None:
    """A tensor cut by samples.

    Args:
        value: the tensor.
        index: its batch index as verified for one sample.
        size: number of samples.
        sample: that sample.

    Returns:
        ``(size, share, …)``, a view where possible; None where the samples have no regular places.
    """
    axis = index.axis
    if axis is None:
        if index.kind in ("mixed", "inconclusive", "interleaved") and value.ndim and value.shape[0] == size:
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
    """Figures, checksums and random projection of one array of any shape and dtype."""
    bits = checksum(value)
    if value.dtype.kind in "OSU":
        return SampleSketch(None, None, None, None, 0, bits, ())
    flat, finite = finite_part(value)
    if finite is None:
        return SampleSketch(*_figures(flat), 0, bits, project(flat, _digits(value.dtype)))
    nonfinite = int(finite.size - finite.sum())
    projection = project(flat, _digits(value.dtype))
    return SampleSketch(*_figures(flat[finite]), nonfinite, bits, projection, _places(value))


def figures(value: np.ndarray) -> tuple[float, float, float, float] | None:
    """Least and largest, mean and root mean square of the finite elements; None where there are none, and of text."""
    if value.dtype.kind in "OSU":
        return None
    flat, finite = finite_part(value)
    found = _figures(flat if finite is None else flat[finite])
    return None if None in found else found  # type: ignore[return-value]


def finite_part(value: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """An array of numbers as ``(n,)`` float32 or float64, zero where it is NaN or Inf, and where it is finite.

    Complex numbers count by their parts. The second is None where everything is finite.
    """
    flat = _parts(value)
    flat = flat.astype(np.float64) if flat.dtype != np.float32 else flat
    with np.errstate(over="ignore", invalid="ignore"):
        total = flat.sum()
    if np.isfinite(total):  # one pass that is nearly always enough
        return flat, None
    finite = np.isfinite(flat)
    return (flat, None) if finite.all() else (np.where(finite, flat, flat.dtype.type(0)), finite)


def _parts(value: np.ndarray) -> np.ndarray:
    flat = np.ascontiguousarray(value).reshape(-1)
    return flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat


def _places(value: np.ndarray) -> str:
    """CRC-32 of which elements are finite (0), NaN (1), Inf (2) and -Inf (3), one byte each."""
    flat = _parts(value)
    if flat.dtype.kind == "V":
        flat = flat.astype(np.float32)
    kinds = np.isnan(flat) + np.uint8(2) * np.isposinf(flat) + np.uint8(3) * np.isneginf(flat)
    return f"{zlib.crc32(kinds.astype(np.uint8).data):08x}"


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
    """The sketch of a float array of shape ``(n,)``: at most WIDTH numbers; the array itself where it is no longer.

    All are multiples of one power of ten: ``digits`` are those of the largest.
    """
    if flat.size <= WIDTH:
        return _to_unit(np.nan_to_num(flat.astype(np.float64)).tolist(), digits)
    multipliers, buckets = codes(flat.size)
    with np.errstate(over="ignore", invalid="ignore"):
        sums = sum_up(flat * multipliers[: flat.size], buckets)
        if not np.isfinite(sums).all():  # of values near the end of their range
            scale = 2.0**64
            sums = np.nan_to_num(sum_up(flat.astype(np.float64) / scale * multipliers[: flat.size], buckets) * scale)
    return _to_unit(sums.tolist(), digits)


def sum_up(products: np.ndarray, buckets: np.ndarray) -> np.ndarray:
    """Elements times multipliers, added up by buckets: shape ``(WIDTH,)``, float64."""
    if products.size >= _LONG:
        rows = -(-products.size // _FOLD)
        if products.size < rows * _FOLD:
            products = np.concatenate([products, np.zeros(rows * _FOLD - products.size, products.dtype)])
        products = products.reshape(_FOLD, rows).sum(axis=0, dtype=np.float64)
    return np.bincount(buckets[: products.size], weights=products, minlength=WIDTH)


def estimated_rms(first: Sequence[float], second: Sequence[float], count: int) -> float:
    """The root mean square of the difference of two arrays of ``count`` elements, from their sketches."""
    return math.dist(first, second) / math.sqrt(max(count, 1))


def resolution(projection: Sequence[float], dtype: str, count: int) -> float:
    """The largest :func:`estimated_rms` that comes from nothing but the rounding of the projected numbers."""
    largest = max(map(abs, projection), default=0.0)
    digits = _WHOLE_DIGITS if dtype == "string" else _digits(np.dtype(dtype))
    return 10.0 ** (1 - digits) * largest * math.sqrt(len(projection) / max(count, 1))


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
    """Of projected numbers; complex numbers count by their parts."""
    if dtype.kind == "c":
        return _DIGITS[dtype.itemsize // 2]
    return _DIGITS.get(dtype.itemsize, 5) if dtype.kind in "fV" else _WHOLE_DIGITS


def _rounded(number: float, digits: int) -> float:
    return float(f"{number:.{digits}g}")


def _to_unit(numbers: Sequence[float], digits: int) -> tuple[float, ...]:
    """Rounded to multiples of the power of ten that leaves the largest so many digits.

    A difference is held against the size of all of them, so finer digits of the smaller ones would tell nothing.
    """
    largest = max(map(abs, numbers), default=0.0)
    exponent = int(f"{largest:.{digits - 1}e}".partition("e")[2]) + 1 - digits
    whole = [Decimal(number).scaleb(-exponent).to_integral_value() for number in numbers]
    return tuple(float(f"{int(number)}e{exponent}") for number in whole)


class _Codes:
    """Multipliers and buckets of the first so many places, made once and made longer when needed."""

    made = np.empty(0, np.float32), np.empty(0, np.uint8)


def codes(size: int) -> tuple[np.ndarray, np.ndarray]:
    """(multipliers, buckets) of ``size`` places at least: float32 and uint8, the same for every size."""
    made = _Codes.made
    if size > made[0].size:
        raw = _splitmix64(np.arange(max(size, 2 * made[0].size), dtype=np.uint64))
        # Other bits of the same words, which are as good as independent of the highest.
        buckets = (raw & np.uint64(WIDTH - 1)).astype(np.uint8)
        multipliers = np.empty(raw.size, np.float32)
        for bucket in range(WIDTH):
            places = np.flatnonzero(buckets == bucket)
            multipliers[places] = _magnitudes(bucket, places.size)
        # In one step: other threads may be at it too.
        _Codes.made = made = np.where(raw >> np.uint64(63), multipliers, -multipliers), buckets
    return made


def _magnitudes(bucket: int, size: int) -> np.ndarray:
    """Of a bucket's elements, in order: frac(start + i / golden ratio), spread over the range; multiples of 2**-12.

    The starts of the buckets are spread evenly too, so that few elements already have a mean square of about 1.
    """
    start = np.uint64((2 * bucket + 1) * 2**63 // WIDTH)
    with np.errstate(over="ignore"):
        spread = (start + np.arange(size, dtype=np.uint64) * np.uint64(_GOLDEN)) >> np.uint64(32)
    whole = np.uint64(_LOW) + ((spread * np.uint64(_HIGH - _LOW)) >> np.uint64(32))
    magnitudes: np.ndarray = whole.astype(np.float32) / np.float32(4096)
    return magnitudes


def _splitmix64(counter: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        state = (counter + np.uint64(1)) * np.uint64(_GOLDEN)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed: np.ndarray = state ^ (state >> np.uint64(31))
    return mixed
