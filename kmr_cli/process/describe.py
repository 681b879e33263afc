"""The task that reads a model file: what a stranger wrote is read in a child, which can be ended if it hangs."""

from __future__ import annotations

from pathlib import Path

from kmr_cli.formats import describe as read
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.process.sessions import OPEN, Sessions, Tell
from kmr_cli.records import ModelInfo


def describe(
    *,
    path: str,
    options: OpenOptions,
    report: Tell,  # noqa: ARG001  (it takes a moment only)
    sessions: Sessions = OPEN,
) -> ModelInfo:
    """Detect the format of a file and read its description.

    Raises:
        ModelFileError: no model, a damaged one, or options that are for another format.
    """
    sessions.enter_to_read(path, options)
    return read(Path(path), options)[1]
