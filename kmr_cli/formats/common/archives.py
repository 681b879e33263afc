"""What is inside a zip archive, as far as it can be read."""

from __future__ import annotations

import zipfile
from pathlib import Path


def zip_names(path: Path) -> list[str] | None:
    """The names in a zip archive; None where it is no such archive, or its table of contents cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):  # ValueError: a name that is not UTF-8
        return None
