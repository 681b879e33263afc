"""Snapshots as files: JSON that reads well in a diff, and beside it, on request, the whole tensors as HDF5.

docs/snapshot.schema.json describes the JSON. Here stand the names of the files and the versions of the layout.
"""

from __future__ import annotations

from pathlib import Path

from kmr_cli.snapshot.sketch import WIDTH

SCHEMA = 2
"""Version of the layout. Every earlier one stays readable: see :data:`METHODS`."""
SUFFIX = ".kmr.json"
METHODS = {
    1: {"method": "count-sketch", "width": WIDTH},
    2: {"method": "count-sketch", "multipliers": "golden-ratio", "width": WIDTH},
}
"""How sketches are made, by version."""


def file_name(model: str | Path) -> str:
    """The name of a model's snapshot in a folder of snapshots: ``model.keras.kmr.json``.

    It is of the name as given: a link that leads to another model tomorrow keeps its snapshot.
    """
    name = Path(model).name
    return (name if name not in ("", "..") else Path(model).resolve().name) + SUFFIX
