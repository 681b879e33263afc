"""How far apart two arrays are, in units in the last place (ULP)."""

from __future__ import annotations

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.arrays.dtypes import discrete

FAR = 255
"""In a map of distances: this many units in the last place or more, or not to be told (NaN, integers, text)."""


def ulp_distance(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How far apart two arrays are, element by element, in units in the last place.

    Returns:
        uint8, the shape of both: 0 to 254, or ``FAR``. 0 for equal values and two NaN.
    """
    unsigned = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}.get(before.dtype.itemsize)
    if before.dtype.kind not in "fV" or unsigned is None:
        return np.where(changed(before, after), FAR, 0).astype(np.uint8)
    bits = 8 * before.dtype.itemsize
    first, second = (_ordered(np.ascontiguousarray(a).view(unsigned), bits) for a in (before, after))
    # Unsigned and modulo 2**64: the distance of two int64 far apart does not fit into another int64.
    first, second = np.maximum(first, second).view(np.uint64), np.minimum(first, second).view(np.uint64)
    distance: np.ndarray = np.minimum(first - second, FAR).astype(np.uint8).reshape(before.shape)
    wide = (before.astype(np.float64), after.astype(np.float64)) if before.dtype.kind == "V" else (before, after)
    unfit = ~(np.isfinite(wide[0]) & np.isfinite(wide[1]))
    distance[unfit] = np.where(changed(before, after)[unfit], FAR, 0)
    return distance


_FRACTION = {("f", 2): 10, ("f", 4): 23, ("f", 8): 52, ("V", 2): 7, ("V", 1): 3}
"""Bits behind the binary point; V: bfloat16 and float8."""


def scaled_distance(before: np.ndarray, after: np.ndarray, scale: float) -> np.ndarray:
    """The same in units in the last place of ``scale``: rounding is as large as the terms of a sum, not as the sum.

    Args:
        before: of the unchanged batch.
        after: of the same shape and dtype.
        scale: the largest value around, as an absolute number; the result is never above :func:`ulp_distance`.
    """
    distance = ulp_distance(before, after)
    bits = _FRACTION.get((before.dtype.kind, before.dtype.itemsize))
    if bits is None or not np.isfinite(scale) or scale <= 0:
        return distance
    unit = 2.0 ** (np.floor(np.log2(scale)) - bits)
    moved = distance > 0
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.abs(before[moved].astype(np.float64) - after[moved].astype(np.float64)) / unit
    small = off < FAR  # and not NaN
    distance[moved] = np.where(small, np.minimum(distance[moved], np.ceil(np.where(small, off, 0))), distance[moved])
    return distance


def _ordered(raw: np.ndarray, bits: int) -> np.ndarray:
    """Bit patterns of IEEE floats as integers in the order of the floats: sign and magnitude to two's complement."""
    magnitude = (raw & ((1 << (bits - 1)) - 1)).astype(np.int64)
    ordered: np.ndarray = np.where(raw >> (bits - 1), -magnitude, magnitude)
    return ordered


def last_bits(distance: int) -> bool:
    """Whether a distance in ULP is one that kernels make when they get another number of rows."""
    return 0 < distance <= 64 < FAR


_TOLERANCE = {8: 1e-9, 4: 2e-4, 2: 4e-2, 1: 0.5}
"""By bytes per number: how far a sample may be off, relative to the tensor's largest value. Kernels that regroup a sum
at another batch size stay 100 times below; a value of another sample is far above."""


def distance(expected: np.ndarray, after: np.ndarray) -> int | None:
    """In units in the last place of the largest value; None beyond rounding. Discrete values tell nothing here."""
    if discrete(expected):
        return 0
    first = expected.astype(np.complex128 if expected.dtype.kind == "c" else np.float64)
    second = after.astype(first.dtype)
    if not np.array_equal(np.isfinite(first), np.isfinite(second)):
        return None
    finite = np.isfinite(first)
    if not finite.any():
        return 0
    scale = float(np.abs(first[finite]).max())
    off = float(np.abs(first[finite] - second[finite]).max())
    if off == 0:
        return 0
    bytes_each = expected.dtype.itemsize // (2 if expected.dtype.kind == "c" else 1)
    tolerance = _TOLERANCE[bytes_each]
    if off > tolerance * max(scale, 1e-30):
        return None
    bits = {8: 52, 4: 23, 2: 10, 1: 3}[bytes_each]
    return max(1, round(off / (scale * 2.0**-bits)))


def relative(expected: np.ndarray, after: np.ndarray) -> float:
    """The largest difference in terms of the largest value; infinite where NaN or Inf stand at other places."""
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    first, second = expected.astype(wide), after.astype(wide)
    finite = np.isfinite(first)
    if not np.array_equal(finite, np.isfinite(second)):
        return float("inf")
    scale = float(np.abs(first[finite]).max(initial=0.0))
    off = float(np.abs(first[finite] - second[finite]).max(initial=0.0))
    return off / scale if scale else (0.0 if off == 0 else float("inf"))
