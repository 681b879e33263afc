"""How a note of a description lists names."""

from __future__ import annotations

from collections.abc import Iterable

_SHOWN = 4
"""Names that a note lists before it only counts."""


def some(names: Iterable[str]) -> str:
    """``a, b, c, d and 7 more``."""
    listed = list(names)
    return ", ".join(listed[:_SHOWN]) + (f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else "")
