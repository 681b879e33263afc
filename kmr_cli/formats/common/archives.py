"""What is inside a zip archive, as far as it can be read."""

from __future__ import annotations

import zipfile
from pathlib import Path


def zip_names(path: Path) -> list[str] | None:
    """The names in a zip archive; None where it isn't one, or its table of contents cannot be read.

    Where an archive that holds another one is cut short, its last bytes may look like the end of that other one, which
    does not begin where the file does.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            begins = min((info.header_offset for info in archive.infolist()), default=0)
            return archive.namelist() if begins == 0 else None
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):  # ValueError: a name that is not UTF-8
        return None
