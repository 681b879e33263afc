"""How far apart two arrays are, in units in the last place (ULP)."""

from __future__ import annotations

import math
from functools import cache

import ml_dtypes
import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.arrays.dtypes import discrete

FAR = 255
"""In a map of distances: this many units in the last place or more, or not to be told (NaN, integers, text)."""


@cache
def fraction_bits(dtype: np.dtype[np.generic]) -> int | None:
    """Bits behind the binary point of a float, or of the parts of a complex number; None for any other dtype.

    The one table of these: one unit in the last place of a number in ``[1, 2)`` is ``2.0 ** -fraction_bits``.
    """
    if dtype.kind not in "fcV":
        return None
    try:
        return int(ml_dtypes.finfo(dtype).nmant)
    except ValueError:  # a structure, raw bytes
        return None


def unit_at(scale: float, dtype: np.dtype[np.generic]) -> float:
    """One unit in the last place of a number of this size, which is finite and above 0, in a dtype with fractions."""
    bits = fraction_bits(dtype)
    assert bits is not None
    return float(max(2.0 ** (math.floor(math.log2(scale)) - bits), float(ml_dtypes.finfo(dtype).smallest_subnormal)))


def ulp_distance(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How far apart two arrays are, element by element, in units in the last place.

    Returns:
        uint8, the shape of both: 0 to 254, or ``FAR``. 0 for equal values and two NaN.
    """
    unsigned = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}.get(before.dtype.itemsize)
    if before.dtype.kind not in "fV" or unsigned is None or fraction_bits(before.dtype) is None:
        return np.where(changed(before, after), FAR, 0).astype(np.uint8)
    kind = ml_dtypes.finfo(before.dtype)
    sign = int(kind.bits) - 1 if kind.min < 0 else None
    first, second = (_ordered(np.ascontiguousarray(a).view(unsigned), sign) for a in (before, after))
    # Unsigned and modulo 2**64: the distance of two int64 far apart does not fit into another int64.
    first, second = np.maximum(first, second).view(np.uint64), np.minimum(first, second).view(np.uint64)
    distance: np.ndarray = np.minimum(first - second, FAR).astype(np.uint8).reshape(before.shape)
    wide = (before.astype(np.float64), after.astype(np.float64)) if before.dtype.kind == "V" else (before, after)
    unfit = ~(np.isfinite(wide[0]) & np.isfinite(wide[1]))
    distance[unfit] = np.where(changed(before, after)[unfit], FAR, 0)
    return distance


def scaled_distance(before: np.ndarray, after: np.ndarray, scale: float) -> np.ndarray:
    """The same in units in the last place of ``scale``: rounding is as large as the terms of a sum, not as the sum.

    Args:
        before: of the unchanged batch.
        after: of the same shape and dtype.
        scale: the largest value around, as an absolute number; the result is never above :func:`ulp_distance`.
    """
    distance = ulp_distance(before, after)
    if before.dtype.kind not in "fV" or fraction_bits(before.dtype) is None or not np.isfinite(scale) or scale <= 0:
        return distance
    unit = unit_at(scale, before.dtype)
    moved = distance > 0
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.abs(before[moved].astype(np.float64) - after[moved].astype(np.float64)) / unit
    small = off < FAR  # and not NaN
    distance[moved] = np.where(small, np.minimum(distance[moved], np.ceil(np.where(small, off, 0))), distance[moved])
    return distance


def largest(value: np.ndarray) -> float:
    """The largest absolute finite number of a float tensor, 0 where there is none; NaN for any other dtype."""
    if value.dtype.kind not in "fV":
        return math.nan
    wide = value.astype(np.float64) if value.dtype.kind == "V" else value
    finite = wide[np.isfinite(wide)]
    return float(np.abs(finite).max(initial=0.0))


def _ordered(raw: np.ndarray, sign: int | None) -> np.ndarray:
    """Bit patterns of IEEE floats as integers in the order of the floats: sign and magnitude to two's complement.

    Args:
        raw: unsigned integers.
        sign: which bit is the sign; None where there is none.
    """
    if sign is None:
        return raw.astype(np.int64)
    magnitude = (raw & ((1 << sign) - 1)).astype(np.int64)
    ordered: np.ndarray = np.where(raw >> sign & 1, -magnitude, magnitude)
    return ordered


_LAST_BITS = {2: 16, 1: 2}
"""By bytes per number, where these are few: 64 units of bfloat16 are half of the largest value."""


def last_bits(distance: int, itemsize: int = 4) -> bool:
    """Whether a distance in ULP is one that kernels make when they get another number of rows.

    Args:
        distance: as :func:`scaled_distance` tells it.
        itemsize: bytes per number.
    """
    return 0 < distance <= _LAST_BITS.get(itemsize, 64) < FAR


def beyond_last_bits(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Where two arrays of one shape and dtype differ by more than that, in units of the largest value of ``before``."""
    return scaled_distance(before, after, largest(before)) > _LAST_BITS.get(before.dtype.itemsize, 64)


_TOLERANCE = {8: 1e-9, 4: 2e-4, 2: 4e-2, 1: 0.5}
"""By bytes per number: how far a sample may be off, relative to the tensor's largest value. Kernels that regroup a sum
at another batch size stay 100 times below; a value of another sample is far above."""


def distance(expected: np.ndarray, after: np.ndarray, beside: np.ndarray | None = None) -> int | None:
    """In units in the last place of the largest value; None beyond rounding. Discrete values tell nothing here.

    Args:
        expected: what a tensor should hold.
        after: what it holds, of the same shape.
        beside: the largest value is that of this tensor, where ``expected`` is a small part of it.
    """
    if discrete(expected):
        return 0
    first = expected.astype(np.complex128 if expected.dtype.kind == "c" else np.float64)
    second = after.astype(first.dtype)
    if not np.array_equal(np.isfinite(first), np.isfinite(second)):
        return None
    finite = np.isfinite(first)
    if not finite.any():
        return 0
    scale = _largest_of(first, beside)
    off = float(np.abs(first[finite] - second[finite]).max())
    if off == 0:
        return 0
    bytes_each = expected.dtype.itemsize // (2 if expected.dtype.kind == "c" else 1)
    tolerance = _TOLERANCE[bytes_each]
    if off > tolerance * max(scale, 1e-30):
        return None
    return max(1, round(off / unit_at(scale, expected.dtype)))


def relative(expected: np.ndarray, after: np.ndarray, beside: np.ndarray | None = None) -> float:
    """The largest difference in terms of the largest value; infinite where NaN or Inf stand elsewhere, or text differs.

    Args:
        expected: what a tensor should hold.
        after: what it holds, of the same shape.
        beside: as in :func:`distance`.
    """
    if expected.dtype.kind in "SUO":
        return float("inf") if changed(expected, after).any() else 0.0
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    first, second = expected.astype(wide), after.astype(wide)
    finite = np.isfinite(first)
    if not np.array_equal(finite, np.isfinite(second)):
        return float("inf")
    scale = _largest_of(first, beside)
    off = float(np.abs(first[finite] - second[finite]).max(initial=0.0))
    return off / scale if scale else (0.0 if off == 0 else float("inf"))


def _largest_of(wide: np.ndarray, beside: np.ndarray | None) -> float:
    """The largest finite absolute value of ``wide``, and of ``beside``, where that is given."""
    scale = float(np.abs(wide[np.isfinite(wide)]).max(initial=0.0))
    return scale if beside is None else max(scale, _largest_of(beside.astype(wide.dtype), None))
