"""What is known of an array before its values: shape and dtype, and what a dtype can hide."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ArraySpec:
    """Shape and dtype of a tensor."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    @property
    def nbytes(self) -> int:
        """What it takes."""
        return math.prod(self.shape) * self.dtype.itemsize


def discrete(value: np.ndarray | ArraySpec) -> bool:
    """Whether a tensor's dtype can hide a change: integers, booleans, text."""
    return value.dtype.kind not in "fcV"
