"""Files that aren't a model of any format and hold pickles: what ``torch.save`` writes, ``.pkl``, ``.bin``.

People point a scan at those above all, and they are the ones that run code.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from kmr_cli.formats.common import archive_hazards, pickle_hazards
from kmr_cli.formats.common.archives import zip_names
from kmr_cli.records import Hazard


def holds_pickles(path: Path) -> bool:
    """Whether a file is a pickle, or a zip archive with one in it."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(2)
    if head == b"PK":
        return any(name.lower().endswith(pickle_hazards.SUFFIXES) for name in zip_names(path) or ())
    return pickle_hazards.looks_like(head)


def scan(path: Path) -> Iterator[Hazard]:
    """What unpickling would do.

    Raises:
        ModelFileError: the archive is damaged.
    """
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            most = min(path.stat().st_size, pickle_hazards.LONGEST) + 1  # a read sets aside what it is asked for
            yield from pickle_hazards.scan(file.read(most), path.name)
        return
    yield from archive_hazards.scan(path, any_case=True)
    with archive_hazards.opened(path) as members:
        yield from pickle_hazards.of_members(members)
