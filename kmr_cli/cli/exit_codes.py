"""What the process tells its caller. The one place where exit codes are defined."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from kmr_cli.errors import KmrError, LimitError, UnsafeModelError


class ExitCode(IntEnum):
    """Exit codes of ``kmr-inspect``; their meaning never changes."""

    CLEAN = 0
    FINDINGS = 1
    COULD_NOT = 2
    """Bad arguments, an unreadable file, nothing checked."""
    UNSAFE = 3
    """A model was not loaded, because its file could do harm."""
    LIMIT = 4
    """Something took longer, or more memory, than allowed."""
    INTERRUPTED = 130


def of_errors(errors: Iterable[KmrError]) -> ExitCode:
    """What failures tell together: of several, the one that somebody should look at first."""
    kinds = [type(error) for error in errors]
    if UnsafeModelError in kinds:
        return ExitCode.UNSAFE
    return ExitCode.LIMIT if LimitError in kinds else ExitCode.COULD_NOT
