"""Snapshots into files: whole or not at all."""

from __future__ import annotations

from pathlib import Path

from kmr_cli.records import Snapshot
from kmr_cli.render.files.write import write_whole
from kmr_cli.snapshot.write import dump


def write_snapshot(path: str | Path, snapshot: Snapshot, *, overwrite: bool = False) -> None:
    """Write a snapshot as JSON.

    Args:
        path: the place, by custom ``NAME.kmr.json``.
        snapshot: what to write.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: the place cannot be written to.
    """

    def fill(temporary: Path) -> None:
        temporary.write_text(dump(snapshot), encoding="ascii")

    write_whole(Path(path), fill, overwrite=overwrite)
