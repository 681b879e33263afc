"""From a file to its hazards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from kmr_cli.formats.files import homes, inside
from kmr_cli.formats.savedmodel.describe import reader
from kmr_cli.formats.savedmodel.scan import graphs
from kmr_cli.records import Hazard


def scan(path: Path) -> Iterator[Hazard]:
    """The hazards of a SavedModel directory.

    Raises:
        ModelFileError: ``saved_model.pb`` is missing or damaged.
    """
    yield from _links(path)
    forms = [name for name in reader.FORMS if (path / name).exists()]
    if len(forms) > 1:
        yield Hazard("container", path.name, f"the graph in {len(forms)} forms: readers choose differently")
    for meta_graph in reader.parse(path).meta_graphs:
        yield from _assets(meta_graph)
        yield from graphs.scan(meta_graph)


def _links(folder: Path) -> Iterator[Hazard]:
    """Files that lie elsewhere, but for those that the cache of Hugging Face keeps beside its models."""
    home, *others = homes(folder)
    for name, path in inside(folder):
        if path.exists() and not path.is_file():
            yield Hazard("files", name, "something that isn't a file, in the model's folder")
        if path.is_symlink() or path.parent.resolve() != home:
            true = path.resolve()
            if not any(true.is_relative_to(one) for one in (home, *others)):
                yield Hazard("files", name, f"a link to a file outside the model's folder, {str(true)[:200]!r}",
                             "copy the folder with the files themselves: cp -rL")  # fmt: skip


def _assets(meta_graph: Any) -> Iterator[Hazard]:
    for asset in meta_graph.asset_file_def:
        name = asset.filename
        if name.startswith(("/", "\\")) or ":" in name or ".." in PurePosixPath(name.replace("\\", "/")).parts:
            yield Hazard("files", f"asset {name[:200]!r}", "an asset that lies outside the model's folder")
