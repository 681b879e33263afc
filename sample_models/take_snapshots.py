"""What every sample model does to its batch, in ``snapshots/``: tests/project/test_guard.py holds the models to it.

Run ``python sample_models/take_snapshots.py`` after a change that is meant; train.py does so for what it trains.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from kmr_cli import open_model
from kmr_cli.snapshot.file import file_name
from kmr_cli.snapshot.write import dump

DATA = {
    "digits.h5": "digits.npz",
    "digits.keras": "digits.npz",
    "digits.onnx": "digits.npz",
    "digits.pt2": "digits.npz",
    "digits_savedmodel": "digits.npz",
    "digits_scripted.pt": "digits.npz",
    "digits_traced.pt": "digits.npz",
    "pair.keras": "pair.npz",
    "pair.onnx": "pair.npz",
    "pair.pt2": "pair.npz",
    "recommender.h5": "recommender.npz",
    "recommender.keras": "recommender.npz",
    "recommender.onnx": "recommender.npz",
    "recommender.pt": "recommender.npz",
    "recommender.pt2": "recommender.npz",
    "recommender_savedmodel": "recommender.npz",
    "sequence.keras": "sequence.npz",
    "sequence.onnx": "sequence.npz",
    "sequence.pt2": "sequence.npz",
    "transformer.keras": "digits.npz",
    "transformer.onnx": "digits.npz",
    "transformer.pt2": "digits.npz",
    "windows.keras": "digits.npz",
    "windows.onnx": "digits.npz",
    "windows.pt": "digits.npz",
    "windows.pt2": "digits.npz",
}
"""Every sample model, and the batch that it is for."""


def place_of(name: str, folder: Path) -> Path:
    """Where a model's snapshot is."""
    return folder / "snapshots" / file_name(folder / name)


def write_snapshots(folder: Path, names: Iterable[str]) -> None:
    """Write the snapshots of models. A folder without their batches (``--only``) takes those beside this script."""
    (folder / "snapshots").mkdir(exist_ok=True)
    for name in names:
        batch = folder / DATA[name]
        with open_model(folder / name) as model:
            taken = model.snapshot(batch if batch.exists() else Path(__file__).parent / DATA[name])
        place_of(name, folder).write_text(dump(taken), encoding="ascii")


if __name__ == "__main__":
    write_snapshots(Path(__file__).parent, sys.argv[1:] or DATA)
