"""Snapshots into files: whole or not at all."""

from __future__ import annotations

from pathlib import Path

from kmr_cli.records import Snapshot
from kmr_cli.render.files.write import write_whole
from kmr_cli.snapshot.write import dump


def write(path: Path, snapshot: Snapshot) -> None:
    """Write the text of a snapshot to a path where nothing is in the way."""
    path.write_text(dump(snapshot), encoding="ascii")


def write_snapshot(path: str | Path, snapshot: Snapshot, *, overwrite: bool = False) -> None:
    """Write a snapshot as JSON.

    Args:
        path: the place, by custom ``NAME.kmr.json``.
        snapshot: what to write.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: the place cannot be written to.
    """
    write_whole(Path(path), lambda temporary: write(temporary, snapshot), overwrite=overwrite)


def replace_snapshot(path: Path, snapshot: Snapshot) -> bool:
    """Write a snapshot in place of another, and say whether that changed anything; the same text is left alone.

    Raises:
        OutputError: the place cannot be written to.
    """
    if path.read_text(encoding="ascii", errors="replace") == dump(snapshot):
        return False
    write_snapshot(path, snapshot, overwrite=True)
    return True
