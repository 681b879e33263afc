"""What every way of writing a result shares: which folders take it, and who may read it afterwards."""

from __future__ import annotations

import os
from pathlib import Path

from kmr_cli.errors import OutputError


def refuse_folder(path: Path, folder: Path) -> None:
    """Refuse a place in a folder that takes no files.

    Args:
        path: the place, as the user gave it.
        folder: where it leads to.

    Raises:
        OutputError: the folder is missing or read-only.
    """
    if not folder.is_dir():
        raise OutputError(f"{path}: there isn't a folder {folder}", f"make it first: mkdir -p {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: the folder {folder} cannot be written to")


def open_to_others(path: Path) -> None:
    """Give a temporary file or folder, which is its owner's alone, the permissions of a usual one."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)
