"""What the process tells its caller. The one place where exit codes are defined."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of ``kmr-inspect``; their meaning never changes."""

    CLEAN = 0
    FINDINGS = 1
    COULD_NOT = 2
    """Bad arguments, an unreadable file, nothing checked."""
    LIMIT = 4
    """Something took longer, or more memory, than it may."""
    INTERRUPTED = 130
