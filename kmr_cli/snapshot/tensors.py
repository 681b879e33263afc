"""The whole tensors of a snapshot, as HDF5 beside it."""

from __future__ import annotations

import io
import json
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import ml_dtypes  # noqa: F401  (registers bfloat16 and float8 with NumPy)
import numpy as np

from kmr_cli.errors import SnapshotError
from kmr_cli.records import Snapshot, TapSketch


def tensors_path(path: Path) -> Path:
    """Where the whole tensors of a snapshot lie: ``model.kmr.h5`` beside ``model.kmr.json``."""
    return path.with_name(path.name.removesuffix(".json") + ".h5")


def write_tensors(path: Path, text: str, snapshot: Snapshot, tensors: Callable[[TapSketch], np.ndarray]) -> None:
    """Write one dataset per tap, ``0``, ``1``, … in the order of the snapshot, whose text the file is tied to."""
    # In memory first: where a write fails (full disk, size limit), HDF5 crashes the whole process as it closes.
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs["snapshot"] = _tie(text)
        for number, tap in enumerate(snapshot.taps):
            value = tensors(tap)
            # HDF5 knows no bfloat16: its bits are kept, and the snapshot has its name.
            raw = value.view(np.dtype(f"u{value.dtype.itemsize}")) if value.dtype.kind == "V" else value
            dataset = file.create_dataset(str(number), data=raw)
            dataset.attrs["port"], dataset.attrs["call"], dataset.attrs["dtype"] = tap.port, tap.call, tap.dtype
            dataset.attrs["layer"] = tap.layer.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    path.write_bytes(content.getbuffer())


def open_tensors(path: Path, text: str, snapshot: Snapshot) -> Callable[[TapSketch], np.ndarray] | None:
    """A reader of the whole tensors of the snapshot with this text; None where there are none, or those of another.

    Raises:
        SnapshotError: the file is damaged.
    """
    if not path.is_file():
        return None
    numbers = {tap.tap: number for number, tap in enumerate(snapshot.taps)}
    damaged = SnapshotError(f"{path}: damaged", "delete it to compare sketches only, or take the snapshot again")
    try:
        with h5py.File(path, "r") as file:
            tied = file.attrs.get("snapshot")
            if tied is not None and not isinstance(tied, str):
                raise damaged
            if tied not in (_tie(text), f"{zlib.crc32(text.encode()):08x}"):  # the second: earlier files
                return None
            room = path.stat().st_size
            for tap, number in zip(snapshot.taps, numbers.values(), strict=True):
                if not isinstance(file.get(str(number), getlink=True), h5py.HardLink):
                    raise damaged
                room -= _check_stored(file[str(number)], tap, snapshot.size)
            if room < 0:
                raise damaged
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, OverflowError) as exc:
        raise damaged from exc

    def read(tap: TapSketch) -> np.ndarray:
        try:
            with h5py.File(path, "r") as file:
                dataset = file[str(numbers[tap.tap])]
                _check_stored(dataset, tap, snapshot.size)
                value = np.asarray(dataset[()])
        except (OSError, KeyError, ValueError, TypeError, RuntimeError) as exc:
            raise damaged from exc
        return value if tap.dtype == "string" else value.view(np.dtype(tap.dtype))

    return read


def _tie(text: str) -> str:
    """What a file of tensors knows its snapshot by: all that it says, however it is laid out."""
    return f"{zlib.crc32(json.dumps(json.loads(text), sort_keys=True).encode()):08x}"


def _check_stored(dataset: object, tap: TapSketch, size: int) -> int:
    """The bytes that a dataset keeps in its file, without reading it.

    Raises:
        ValueError: it is not what :func:`write_tensors` writes: another shape or dtype than the snapshot says, links
            to other files, or less in the file than its shape takes in memory.
    """
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise ValueError("no dataset of its own")
    if dataset.shape != tap.sizes(size) or not _holds(dataset.dtype, tap.dtype):
        raise ValueError("another shape or dtype")
    stored, needed = dataset.id.get_storage_size(), math.prod(dataset.shape) * dataset.dtype.itemsize
    if stored < needed:
        raise ValueError("less in the file than the shape says")
    return int(needed)


def _holds(stored: np.dtype[Any], name: str) -> bool:
    """Whether a dataset's dtype is how :func:`write_tensors` keeps the dtype of this name."""
    if name == "string":
        return stored.kind in "SO"
    wanted = np.dtype(name)
    return stored == (np.dtype(f"u{wanted.itemsize}") if wanted.kind == "V" else wanted)
