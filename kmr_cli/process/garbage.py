"""How often Python looks for objects in cycles: rarely while the command line starts and reads, then as usual."""

from __future__ import annotations

import gc

_RARELY = 50_000
"""New objects between two looks: reading a file makes many objects and no cycles."""
_usual: list[tuple[int, int, int]] = []


def look_rarely() -> None:
    """Until :func:`look_as_usual`, in this process and those that it forks."""
    if not _usual:
        _usual.append(gc.get_threshold())
    gc.set_threshold(_RARELY)


def look_as_usual() -> None:
    """What frameworks leave in cycles may hold gigabytes. Nothing where nobody asked for less: it is the user's."""
    if _usual:
        gc.set_threshold(*_usual.pop())
