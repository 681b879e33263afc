"""Whether a model may be loaded: its bytes are scanned first, before any framework is in this process."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from kmr_cli.errors import UnsafeModelError
from kmr_cli.formats import detect
from kmr_cli.formats.files import Seen
from kmr_cli.formats.interface import optional
from kmr_cli.records import Finding
from kmr_cli.rules import RULES
from kmr_cli.scan.scan import scan


def admit(path: Path, report: Callable[[str, str], None], *, trust: bool) -> Seen:
    """Scan a model file, and refuse to have it loaded where it could do harm.

    Args:
        path: of the file.
        report: told of what is loaded all the same, since it is trusted.
        trust: refuse nothing.

    Returns:
        The files as they were before the scan; nothing else may be loaded.

    Raises:
        UnsafeModelError: the scan found an error.
        ModelFileError: it is damaged, or changed meanwhile.
    """
    seen = Seen(path)
    format_ = detect(path)
    if optional(format_, "scan") is None:  # of another distribution, which its users have installed
        report("notice", f"{path.name}: {format_.FILE} cannot be scanned before it is loaded")
        return seen
    found = [finding for finding in scan(path).findings if finding.severity == "error"]
    seen.refuse_changed()
    if found:
        found.sort(key=lambda finding: -RULES[finding.rule].gravity)
        if not trust:
            raise _refusal(path, found)
        report("notice", f"{path.name}: loaded because you trust it, though {_told(found)}")
    return seen


def _refusal(path: Path, found: list[Finding]) -> UnsafeModelError:
    every = f"kmr-inspect scan {shlex.quote(str(path))} lists all that was found"
    return UnsafeModelError(
        f"{path.name}: refused, not loaded: {_told(found)}", f"{every}; if you trust its author, add --trust"
    )


def _told(found: list[Finding]) -> str:
    """The worst of them in a line."""
    worst = found[0]
    where = f"{worst.layer}: " if worst.layer else ""
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{where}{worst.message} ({worst.rule}{more})"
