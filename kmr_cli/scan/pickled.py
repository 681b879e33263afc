"""Files that aren't a model of any format and hold pickles: what ``torch.save`` writes, ``.pkl``, ``.bin``.

People point a scan at those above all, and they are the ones that run code.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.common import archive_hazards, pickle_hazards
from kmr_cli.records import Hazard

_PICKLES = (".pkl", ".pickle")


def holds_pickles(path: Path) -> bool:
    """Whether a file is a pickle, or a zip archive with one in it."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(2)
    if head == b"PK":
        try:
            with zipfile.ZipFile(path) as members:
                return any(name.endswith(_PICKLES) for name in members.namelist())
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            return False
    return pickle_hazards.looks_like(head)


def scan(path: Path) -> Iterator[Hazard]:
    """What unpickling would do.

    Raises:
        ModelFileError: the archive is damaged.
    """
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            yield from pickle_hazards.scan(file.read(pickle_hazards.LONGEST + 1), path.name)
        return
    yield from archive_hazards.scan(path)
    try:
        with zipfile.ZipFile(path) as members:
            for info in members.infolist():
                if info.filename.endswith(_PICKLES) and info.file_size <= pickle_hazards.LONGEST:
                    yield from pickle_hazards.scan(members.read(info), info.filename)
                elif info.filename.endswith(_PICKLES):
                    yield pickle_hazards.too_long(info.filename, info.file_size)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as exc:
        raise ModelFileError(f"{path.name}: the archive is damaged ({exc})", "copy the file again") from exc
