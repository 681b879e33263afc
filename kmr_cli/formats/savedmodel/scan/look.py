"""From a file to its hazards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from kmr_cli.formats.savedmodel.describe import reader
from kmr_cli.formats.savedmodel.scan import graphs
from kmr_cli.records import Hazard


def scan(path: Path) -> Iterator[Hazard]:
    """The hazards of a SavedModel directory.

    Raises:
        ModelFileError: ``saved_model.pb`` is missing or damaged.
    """
    for meta_graph in reader.parse(path).meta_graphs:
        yield from _assets(meta_graph)
        yield from graphs.scan(meta_graph)


def _assets(meta_graph: Any) -> Iterator[Hazard]:
    for asset in meta_graph.asset_file_def:
        name = asset.filename
        if name.startswith(("/", "\\")) or ":" in name or ".." in PurePosixPath(name.replace("\\", "/")).parts:
            yield Hazard("files", f"asset {name[:200]!r}", "an asset that lies outside the model's folder")
