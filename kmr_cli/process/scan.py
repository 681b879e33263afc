"""The task that scans a model file, in the process that reads its bytes."""

from __future__ import annotations

from pathlib import Path

from kmr_cli.formats.interface import OpenOptions
from kmr_cli.process.sessions import OPEN, Sessions, Tell
from kmr_cli.records import ScanReport
from kmr_cli.scan.scan import scan as look


def scan(
    *,
    path: str,
    report: Tell,  # noqa: ARG001  (it takes a moment only)
    sessions: Sessions = OPEN,
) -> ScanReport:
    """Scan a file: :func:`kmr_cli.scan.scan.scan`.

    Raises:
        ModelFileError: no model, or a damaged one.
        KmrError: a format that cannot be scanned.
    """
    sessions.enter_to_read(path, OpenOptions())
    return look(Path(path))
