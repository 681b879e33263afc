"""From a file to its hazards."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.common import archive_hazards, pickle_hazards
from kmr_cli.formats.torchscript.scan import code
from kmr_cli.records import Hazard

_PICKLES = (".pkl", ".debug_pkl")


def scan(path: Path) -> Iterator[Hazard]:
    """The hazards of an archive.

    Raises:
        ModelFileError: it is damaged.
    """
    yield from archive_hazards.scan(path)
    sources: dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as members:
            for info in members.infolist():
                name = info.filename
                if info.file_size > pickle_hazards.LONGEST or not name.endswith((*_PICKLES, ".py")):
                    continue
                if name.endswith(".py"):
                    sources[name] = members.read(info).decode(errors="replace")
                elif name.endswith(".pkl"):  # the others map code to source lines, and are read when an error is shown
                    yield from pickle_hazards.scan(members.read(info), name, own="__torch__")
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as exc:
        raise ModelFileError(f"{path.name}: the archive is damaged ({exc})", "copy or save the file again") from exc
    yield from code.scan(sources)
