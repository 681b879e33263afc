"""The large architectures of keras.applications, apart: a process of their own has the memory for them."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.cases import Case
from zoo.clean.applications import LARGE, case, names


def cases() -> Iterator[Case]:
    """One ``.keras`` archive each."""
    for name in names():
        if name in LARGE:
            yield case(name)
