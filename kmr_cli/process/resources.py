"""What the process of a model may take of the machine, and what it does take."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from functools import cache
from pathlib import Path

from kmr_cli.errors import KmrError


def restrict() -> None:
    """For this process and what it starts: no core dumps, which hold all data, and no file larger than the memory.

    A value that a model holds is never larger than that, so nothing that is to be written is.
    """
    import resource

    largest = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for what, amount in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, largest)):
        soft, hard = resource.getrlimit(what)
        allowed = min((one for one in (amount, soft, hard) if one != resource.RLIM_INFINITY), default=amount)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(what, (allowed, allowed))


def limit_processor_time(seconds: float | None) -> None:
    """Let this process use no more of the processors from now on than fits into some seconds of the clock.

    The parent ends a child that takes too long. This ends one whose parent is stopped, or busy.

    Args:
        seconds: of the clock; None for as much as it needs.
    """
    import resource

    soft, hard = _given_processor_time()
    wanted = [] if seconds is None else [math.ceil(time.process_time() + seconds * (os.cpu_count() or 1)) + 1]
    allowed = min((one for one in (*wanted, soft, hard) if one != resource.RLIM_INFINITY), default=hard)
    with contextlib.suppress(OSError, ValueError, OverflowError):
        resource.setrlimit(resource.RLIMIT_CPU, (allowed, hard))


@cache
def _given_processor_time() -> tuple[int, int]:
    """The limits that this process started with."""
    import resource

    return resource.getrlimit(resource.RLIMIT_CPU)


def resident(pid: int) -> int:
    """Bytes of memory that a process holds; 0 where it is gone."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def refuse_unwatched_memory() -> None:
    """Refuse a limit of memory where the memory of another process cannot be seen.

    Raises:
        KmrError: that.
    """
    if not sys.platform.startswith("linux"):
        raise KmrError("memory can be limited on Linux only", "leave out --memory")
