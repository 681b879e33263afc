"""What people give in place of a model, and what is cut short: each ends with a line that says so."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bad_files import DAMAGED, SAMPLES, collector

CASES, bad = collector()
_WHOLE = ("digits.keras", "digits.h5", "windows.pt", "digits.pt2", "digits.onnx")
_LARGE = 40 << 30


@bad(DAMAGED)
def a_pipe(folder: Path) -> Path:
    """Whoever opens it waits for ever."""
    path = folder / "model.onnx"
    os.mkfifo(path)
    return path


@bad(DAMAGED)
def a_link_to_a_device(folder: Path) -> Path:
    """Which has no end."""
    path = folder / "model.keras"
    path.symlink_to("/dev/zero")
    return path


@bad(DAMAGED)
def a_link_to_itself(folder: Path) -> Path:
    """Which leads nowhere."""
    path = folder / "model.keras"
    path.symlink_to(path)
    return path


@bad(DAMAGED)
def a_pipe_in_a_savedmodel(folder: Path) -> Path:
    """Where the graph should be."""
    path = folder / "model"
    path.mkdir()
    os.mkfifo(path / "saved_model.pb")
    return path


@bad(DAMAGED)
def an_array_of_records(folder: Path) -> Path:
    """A file of NumPy, of a type that no model takes."""
    path = folder / "model.npy"
    np.save(path, np.zeros(3, [("a", "f4"), ("b", "i8")]))
    return path


for _suffix in (".keras", ".h5", ".pt", ".pt2", ".onnx"):

    @bad(DAMAGED, f"nothing_but_a_hole{_suffix}")
    def _(folder: Path, suffix: str = _suffix) -> Path:
        """40 GB of zeros that take no space."""
        path = folder / f"model{suffix}"
        with path.open("wb") as file:
            file.truncate(_LARGE)
        return path

    @bad(DAMAGED, f"empty{_suffix}")
    def _(folder: Path, suffix: str = _suffix) -> Path:
        path = folder / f"model{suffix}"
        path.touch()
        return path


def _begins_and_goes_on(name: str) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        path = folder / name
        whole = (SAMPLES / name).read_bytes()
        with path.open("wb") as file:
            file.write(whole[: len(whole) * 2 // 3])
            file.truncate(_LARGE)
        return path

    return build


for _name in _WHOLE:
    bad(DAMAGED, f"a_hole_behind_the_beginning_of_{_name}")(_begins_and_goes_on(_name))


@bad(DAMAGED)
def savedmodel_that_is_a_hole(folder: Path) -> Path:
    """40 GB where the graph should be."""
    path = folder / "model"
    path.mkdir()
    with (path / "saved_model.pb").open("wb") as file:
        file.truncate(_LARGE)
    return path
