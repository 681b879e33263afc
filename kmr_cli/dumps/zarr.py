"""Zarr, version 3: a folder with a file for every batch of every value.

The layout is written here rather than by the zarr library: a chunk is the bytes of its rows, and what has to be sure
is the order in which files appear. A chunk is moved into place whole; the chunk of ``index`` comes last, once all
others of its batch are on the disk. So a run that is killed at any moment leaves whole batches, and says which.

Files are synced at the end of a batch: on Linux with one call for the whole file system, elsewhere many at a time, so
that it writes its journal once for all of them, not once for each.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import re
import struct
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from kmr_cli.dumps.about import KIND, About
from kmr_cli.dumps.store import attributes_of, lock
from kmr_cli.errors import OutputError
from kmr_cli.process.scratch import beside
from kmr_cli.process.writing import open_to_others
from kmr_cli.records import DumpedValue

_META = "zarr.json"
_PLAIN = frozenset(
    {"bool", "float16", "float32", "float64", "complex64", "complex128", "int8", "int16", "int32", "int64"}
    | {"uint8", "uint16", "uint32", "uint64"}
)
_AT_A_TIME = 16
"""Files that are synced together."""
_BITS = {1: "uint8", 2: "uint16"}
"""What holds the bits of a dtype that Zarr does not have (bfloat16, float8), by its size in bytes."""


def create(place: Path, about: About, values: Sequence[DumpedValue], names: Sequence[str]) -> None:
    """See :class:`kmr_cli.dumps.store.Kind`."""
    prefix, suffix, folder = beside(place)
    temporary = Path(tempfile.mkdtemp(suffix, prefix, folder))
    try:
        root = {"zarr_format": 3, "node_type": "group", "attributes": about.attributes()}
        _write_json(temporary / _META, root)
        index = _array((), about, "int64", -1, {"of": "the row of the data that each row is; -1: not written yet"})
        (temporary / "index").mkdir()
        _write_json(temporary / "index" / _META, index)
        for value, name in zip(values, names, strict=True):
            group = temporary / name.partition("/")[0]
            if not group.is_dir():
                group.mkdir()
                said = {"layer": value.layer, "call": value.call}
                _write_json(group / _META, {"zarr_format": 3, "node_type": "group", "attributes": said})
            (temporary / name).mkdir()
            stored, fill = _stored(value.dtype)
            _write_json(temporary / name / _META, _array(value.shape, about, stored, fill, attributes_of(value)))
        open_to_others(temporary)
        temporary.rename(place)
    except BaseException:
        import shutil

        shutil.rmtree(temporary, ignore_errors=True)
        raise


def read_about(place: Path) -> About | None:
    """See :class:`kmr_cli.dumps.store.Kind`."""
    attributes = _read(place / _META).get("attributes", {})
    if not isinstance(attributes, dict) or KIND not in attributes:
        return None
    found = {}
    for path in sorted(place.glob(f"*/*/{_META}")):
        said = _read(path).get("attributes", {})
        found[f"{path.parent.parent.name}/{path.parent.name}"] = str(said.get("described", ""))
    return About.of(attributes, found, str(place))


def open_store(
    place: Path,
    about: About,
    values: Sequence[DumpedValue],  # noqa: ARG001  (all kinds of files are opened alike)
    names: Sequence[str],
    *,
    alone: bool = True,
) -> Chunks:
    """See :class:`kmr_cli.dumps.store.Kind`; with ``alone`` no other process may write."""
    meta = os.open(place / _META, os.O_RDONLY)
    if alone:
        lock(meta, place)
        for left in place.rglob(".*.tmp"):  # of a run that was killed
            with contextlib.suppress(OSError):
                left.unlink()
    return Chunks(place, about, names, meta)


class Chunks:
    """Implements :class:`kmr_cli.dumps.store.Store`; also for processes on several machines with one file system."""

    def __init__(self, place: Path, about: About, names: Sequence[str], lock: int) -> None:
        self._index, self._about, self._lock = str(place / "index"), about, lock
        self._folders = [str(place / name) for name in names]
        self._written: dict[int, list[str]] = {}
        self._at_once = True
        self._threads = ThreadPoolExecutor(_AT_A_TIME)

    def write(self, value: int, batch: int, rows: np.ndarray) -> None:
        """See :class:`kmr_cli.dumps.store.Store`."""
        if rows.size:
            chunk = self._put(self._folders[value], batch, rows)
            self._written.setdefault(batch, []).append(chunk)

    def finish(self, batch: int) -> None:
        """See :class:`kmr_cli.dumps.store.Store`."""
        files = self._written.pop(batch, [])
        self._sync([*files, *dict.fromkeys(map(os.path.dirname, files))])
        size, first = self._about.batch_size, self._about.first
        rows = np.arange(first + batch * size, first + (batch + 1) * size, dtype=np.int64)
        self._put(self._index, batch, rows, sync=True)
        _sync_each([self._index])

    def done(self) -> frozenset[int]:
        """See :class:`kmr_cli.dumps.store.Store`."""
        names = (entry.name.partition(".") for entry in os.scandir(self._index))
        return frozenset(int(number) for kind, _, number in names if kind == "c" and number.isdigit())

    def close(self) -> None:
        """See :class:`kmr_cli.dumps.store.Store`."""
        self._threads.shutdown()
        os.close(self._lock)

    def _sync(self, paths: Sequence[str]) -> None:
        """Have the system keep what was written of files, and the names in folders."""
        self._at_once = self._at_once and _sync_file_system(self._lock)
        if self._at_once:
            return
        shares = [paths[first::_AT_A_TIME] for first in range(min(_AT_A_TIME, len(paths)))]
        list(self._threads.map(_sync_each, shares))

    def _put(self, folder: str, batch: int, rows: np.ndarray, *, sync: bool = False) -> str:
        """Write the chunk of a batch; its path."""
        name = ".".join(("c", str(batch), *("0" for _ in rows.shape[1:])))
        chunk = f"{folder}/{name}"
        temporary = f"{folder}/.{name}.{os.getpid()}.{threading.get_ident()}.tmp"
        try:
            file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            try:
                for piece in _encoded(rows):
                    _write_all(file, piece)
                if sync:
                    os.fsync(file)
            finally:
                os.close(file)
            os.rename(temporary, chunk)  # noqa: PTH104  (thousands of paths: pathlib takes as long as writing)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
            raise
        return chunk


def _sync_file_system(file: int) -> bool:
    """Have the system keep all that was written to the file system of a file; False where there is no such call.

    Raises:
        OSError: something could not be written. Before Linux 5.8 nobody is told of that, so the call is not made.
    """
    if sys.platform != "linux" or tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) < (5, 8):
        return False
    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:
        return False
    if call(file) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EPERM):  # a container may not let it through
        return False
    raise OSError(number, os.strerror(number))


def _encoded(rows: np.ndarray) -> list[memoryview]:
    """The bytes of a chunk."""
    if rows.dtype == object:  # the codec vlen-bytes: how many, and then of each its length and its bytes
        items = [item if isinstance(item, bytes) else str(item).encode() for item in rows.ravel().tolist()]
        parts = [struct.pack("<I", len(items)), *(struct.pack("<I", len(item)) + item for item in items)]
        return [memoryview(b"".join(parts))]
    little = rows.astype(rows.dtype.newbyteorder("<"), copy=False) if rows.dtype.kind in "iufc" else rows
    return [np.ascontiguousarray(little).reshape(-1).view(np.uint8).data]


def _write_all(file: int, piece: memoryview) -> None:
    while piece.nbytes:
        piece = piece[os.write(file, piece) :]


def _sync_each(paths: Sequence[str]) -> None:
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _stored(dtype: str) -> tuple[str, Any]:
    """The data type in the file, and what stands for rows that are not there."""
    if dtype == "string":
        return "variable_length_bytes", ""
    if dtype not in _PLAIN:
        import ml_dtypes  # noqa: F401  (registers bfloat16 and float8 with NumPy)

        bits = _BITS.get(np.dtype(dtype).itemsize)
        if bits is None:
            raise OutputError(f"values of the dtype {dtype} cannot be written to a .zarr")
        return bits, 0
    fills: Mapping[str, Any] = {"f": "NaN", "c": ["NaN", "NaN"], "b": False}
    return dtype, fills.get(dtype[0] if dtype != "bool" else "b", 0)


def _array(
    shape: tuple[int, ...], about: About, data_type: str, fill: Any, attributes: Mapping[str, Any]
) -> dict[str, Any]:
    codec = {"name": "bytes", "configuration": {"endian": "little"}}
    if data_type == "variable_length_bytes":
        codec = {"name": "vlen-bytes"}
    elif data_type in ("bool", "int8", "uint8"):
        codec = {"name": "bytes"}
    chunks = [about.batch_size, *(max(1, length) for length in shape)]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [about.samples, *shape],
        "data_type": data_type,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": fill,
        "codecs": [codec],
        "attributes": dict(attributes),
        "dimension_names": ["sample", *(None for _ in shape)],
        "storage_transformers": [],
    }


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with path.open("w", encoding="ascii") as file:
        json.dump(content, file, indent=2)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
