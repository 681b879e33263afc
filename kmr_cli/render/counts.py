"""Numbers of things, for people."""

from __future__ import annotations


def counted(number: int, one: str, several: str = "") -> str:
    """``1 layer``, ``2 layers``; ``several`` where the plural takes more than an s."""
    return f"{number} {one if number == 1 else several or one + 's'}"
