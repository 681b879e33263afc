"""What code asks of the number of samples: its answers at many batch sizes, while it is followed as at one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

SIZES = np.array([*range(1, 4097), 8192, 16384, 32768, 65536], np.int64)
"""Batch sizes that are told apart; beyond 4096 only roughly."""


class Survey:
    """The questions that came up.

    Args:
        size: as at which they are answered, one of SIZES.

    Attributes:
        answers: of each question that is not answered alike at every size, one for each of SIZES.
    """

    def __init__(self, size: int) -> None:
        self._place = int(np.searchsorted(SIZES, size))
        self.answers: list[np.ndarray] = []

    def answer(self, curve: Any) -> Any:
        """What something is at the size, from what it is at each of SIZES."""
        found = np.broadcast_to(np.asarray(curve), SIZES.shape)
        self.note(found)
        return found[self._place].item()

    def note(self, curve: np.ndarray) -> None:
        """Keep the answers to a question, which need not be answered."""
        if (curve != curve[0]).any():
            self.answers.append(curve)


_NOW: ContextVar[Survey | None] = ContextVar("survey", default=None)


def surveyed() -> Survey | None:
    """The survey that is being made."""
    return _NOW.get()


@contextmanager
def surveying(survey: Survey) -> Iterator[None]:
    """Code is followed for a survey: its questions are answered, and kept."""
    token = _NOW.set(survey)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        _NOW.reset(token)
