"""From a file to its hazards."""

from __future__ import annotations

import ast
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from kmr_cli.formats.common import archive_hazards, pickle_hazards, sparse_indices
from kmr_cli.formats.torchscript.scan import casts, code, objects
from kmr_cli.formats.torchscript.scan.classes import types_of
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
        texts = {
            info.filename: members.read(info).decode(errors="replace")
            for info in code_files
            if info.file_size <= _LONGEST_CODE
        }
        trees: dict[str, ast.Module] = {}
        yield from code.parsed(texts, trees)
        pickles = pickle_hazards.readable(members)
        yield from code.scan(trees, _sharing(members, pickles))
        types = types_of(trees)
        yield from casts.scan(trees, types)
        budget = pickle_hazards.budget_of(pickles)
        for info in pickles:
            if info.file_size <= pickle_hazards.LONGEST:
                yield from objects.scan(members.read(info), info.filename, types, budget)


def _sharing(members: zipfile.ZipFile, pickles: Iterable[zipfile.ZipInfo]) -> str | None:
    """What of the pickles puts a sparse tensor together; torch knows it by this name alone."""
    for info in pickles:
        data = members.read(info) if info.file_size <= pickle_hazards.LONGEST else b""
        for name in sparse_indices.REBUILDING:
            if name.encode() in data:
                return name
    return None
