"""Other values in padded steps, where what a model reads of them begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np


class OtherPadding:
    """What some tensors hold, with other values in padded steps.

    Args:
        tensors: that hold what stands in steps, ``(samples, steps, features)``.
        where: number of steps -> which are padded, ``(samples, steps)``.
        seed: of the values.
    """

    def __init__(self, tensors: Sequence[str], where: Mapping[int, np.ndarray], seed: int) -> None:
        self.tensors = tensors
        self._where = where
        self._rng = np.random.default_rng(seed)

    def other(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Those of these values that have such steps, changed there."""
        found = {}
        for tensor, value in values.items():
            where = self._where.get(value.shape[1]) if value.ndim == 3 and value.dtype.kind == "f" else None
            if where is None or where.shape != value.shape[:2]:
                continue
            found[tensor] = np.array(value)
            found[tensor][where] = drawn(self._rng, value, (int(where.sum()), value.shape[2]))
        return found


def drawn(rng: np.random.Generator, like: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values of either sign, as large as those of an array are."""
    scale = float(np.abs(like[np.isfinite(like)]).max(initial=0)) or 1.0
    return rng.uniform(-scale, scale, shape)


class PutsOtherPadding:
    """For sessions whose passes put into padded steps what they are told to, by whatever means."""

    _padding: Any = None
    """What the next pass puts there."""

    @contextmanager
    def _put(self, padding: Any) -> Iterator[None]:
        self._padding = padding
        try:
            yield
        finally:
            self._padding = None
