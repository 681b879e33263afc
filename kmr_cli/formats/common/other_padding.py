"""Other values in padded steps, where what a model reads of them begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

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
            scale = float(np.abs(value[np.isfinite(value)]).max(initial=0)) or 1.0
            found[tensor] = np.array(value)
            found[tensor][where] = self._rng.uniform(-scale, scale, (int(where.sum()), value.shape[2]))
        return found


class PutsOtherPadding:
    """For sessions that run a graph in which the value of any tensor can be given."""

    _padding: OtherPadding | None = None
    """What the next pass puts into padded steps."""

    @contextmanager
    def _put(self, padding: OtherPadding) -> Iterator[None]:
        self._padding = padding
        try:
            yield
        finally:
            self._padding = None
