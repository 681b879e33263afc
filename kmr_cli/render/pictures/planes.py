"""Which planes of a value are looked at, and as what."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

Kind: TypeAlias = Literal["image", "channels", "matrix", "vector"]

_IMAGE = 4
"""An image has sides of at least as many pixels."""


@dataclass(frozen=True)
class Picture:
    """One sample's part of a value, as it is looked at.

    Attributes:
        kind: ``image`` (one plane of one number a pixel, or of three), ``channels`` (a feature map, the heads of an
            attention map), ``matrix``, or ``vector``, which is laid out in one row.
        planes: (height, width) each, of float64; (height, width, 3) of a colour image. NaN and Inf as they are.
        labels: which slice of the value each is: ``[:, :, 3]``.
        total: how many planes there are; those that are not shown come after these.
        low, high: of all finite numbers of the value.
    """

    kind: Kind
    planes: tuple[np.ndarray, ...]
    labels: tuple[str, ...]
    total: int
    low: float
    high: float

    @property
    def signed(self) -> bool:
        """Whether zero lies between its numbers, and so in the middle of its colours."""
        return self.low < 0 < self.high

    @property
    def columns(self) -> int:
        """How many planes stand beside each other, so that all of them are about as wide as high."""
        height, width = self.planes[0].shape[:2]
        return max(1, min(len(self.planes), round(math.sqrt(len(self.planes) * height / width))))


def picture_of(value: np.ndarray, most: int = 64) -> Picture | None:
    """What there is to look at; None for a single number, an empty tensor, text, and where nothing is finite.

    Args:
        value: one sample's part of a tensor, or the whole of it; complex numbers are shown by their magnitude.
        most: planes at most.
    """
    if value.dtype == object or value.size < 2:
        return None
    wide = np.abs(value) if value.dtype.kind == "c" else value
    wide = np.asarray(wide, dtype=np.float64)
    finite = wide[np.isfinite(wide)]
    if not finite.size:
        return None
    ends = float(finite.min()), float(finite.max())
    if wide.ndim == 1:
        return Picture("vector", (wide[None],), ("[:]",), 1, *ends)
    if wide.ndim == 2:
        return Picture("matrix", (wide,), ("[:, :]",), 1, *ends)
    return _of_planes(wide, most, ends)


def _of_planes(wide: np.ndarray, most: int, ends: tuple[float, float]) -> Picture:
    outside = wide.ndim - 3
    value = wide[(0,) * outside]
    before = "0, " * outside
    axis = channel_axis(value.shape)
    label = f"[{before}:, :, {{}}]" if axis == 2 else f"[{before}{{}}, :, :]"
    number, sides = value.shape[axis], [side for at, side in enumerate(value.shape) if at != axis]
    total = number * math.prod(wide.shape[:outside])
    coloured = number == 3 or (number == 4 and axis == 2)  # four planes that come first are rather those of heads
    if min(sides) >= _IMAGE and not outside and (number == 1 or coloured) and _is_light(ends, number):
        if number == 1:
            return Picture("image", (np.take(value, 0, axis),), (label.format(0),), 1, *ends)
        colours = np.moveaxis(value, axis, 2)[:, :, :3]
        return Picture("image", (colours,), (label.format(":"),), 1, *ends)
    chosen = range(min(number, most))
    planes = tuple(np.take(value, at, axis) for at in chosen)
    return Picture("channels", planes, tuple(label.format(at) for at in chosen), total, *ends)


def channel_axis(shape: Sequence[int]) -> int:
    """Which of three axes counts the planes: 2 for channels last, else 0.

    The axes that are most alike are the sides of an image, or of an attention map. Where all are the same, as in 32
    channels of 32 by 32, nothing tells; then it is the last one, as in most images.
    """
    first, second, third = (max(side, 1) for side in shape)
    unlike = {2: max(first, second) / min(first, second), 0: max(second, third) / min(second, third)}
    return min(unlike, key=lambda axis: unlike[axis])


def _is_light(ends: tuple[float, float], number: int) -> bool:
    """Whether numbers can be those of light: 0 to 1, or 0 to 255; one channel may be anything that is not negative."""
    low, high = ends
    return low >= 0 and (number == 1 or high <= 255)
