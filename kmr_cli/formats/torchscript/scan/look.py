"""From a file to its hazards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kmr_cli.formats.common import archive_hazards, pickle_hazards
from kmr_cli.formats.torchscript.scan import code
from kmr_cli.records import Hazard

_LONGEST_CODE = 1 << 28
"""Bytes."""
_EXAMPLES = "/traced_inputs.pkl"
"""What a traced model was traced with: shapes alone, which torch reads for those who ask it to restore them."""


def scan(path: Path) -> Iterator[Hazard]:
    """The hazards of an archive.

    Raises:
        ModelFileError: it is damaged.
    """
    yield from archive_hazards.scan(path, any_case=True)
    with archive_hazards.opened(path) as members:
        yield from pickle_hazards.of_members(members, own="__torch__", without_memory=_EXAMPLES)
        code_files = [
            info
            for info in members.infolist()
            if info.filename.lower().endswith(".py") and not archive_hazards.is_inflated(info)
        ]
        for info in code_files:
            if info.file_size > _LONGEST_CODE:
                yield Hazard("exhaustion", info.filename, f"code of {info.file_size:,} bytes, which no model has")
        yield from code.scan(
            {
                info.filename: members.read(info).decode(errors="replace")
                for info in code_files
                if info.file_size <= _LONGEST_CODE
            }
        )
