"""The task that reads a file of data first, where a damaged one keeps its library busy for ever."""

from __future__ import annotations

from kmr_cli.batch.given import attempt
from kmr_cli.config.reading import Reading
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.process.sessions import OPEN, Sessions, Tell


def try_data(
    *,
    path: str,
    files: tuple[str, ...],
    rows: str | None,
    report: Tell,  # noqa: ARG001  (it takes a moment only)
    sessions: Sessions = OPEN,
) -> bool:
    """Read what arguments of ``--input`` want of the file that they name: :func:`kmr_cli.batch.given.attempt`.

    Raises:
        BatchError: it cannot be read.
    """
    sessions.enter_to_read(path, OpenOptions())
    attempt(files, Reading(rows))
    return True
