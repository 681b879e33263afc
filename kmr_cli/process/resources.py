"""What the process of a model may take of the machine, and what it does take."""

from __future__ import annotations

import contextlib
import os
import sys
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
