"""How far a process grows, as the kernel tells it."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path


def settled() -> int:
    """Bytes that the process holds once what is free was given back; its peak counts from here."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # otherwise what is measured would live on freed memory for nothing
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak() -> int:
    """Bytes that it held at most since it was settled."""
    return _status("VmHWM")


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {key}")
