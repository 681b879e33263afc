"""Memory between passes."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Return to the system what was freed, where the C library can: it keeps it else, in pieces too small for more.

    Before a pass of many samples, whose values need much at once. Takes a few milliseconds.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], object] | None:
    """Glibc's ``malloc_trim``; None with other C libraries."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
