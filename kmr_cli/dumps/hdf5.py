"""HDF5: one file, in which every value has its place from the beginning.

A file that libhdf5 has open for writing is lost when the process is killed, and a full disk crashes the process. So the
library only makes the empty file, with all data sets laid out one after the other; it is closed before the first batch.
The rows are then written to where their data set begins, by the system's own calls. ``index`` comes last.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import ml_dtypes
import numpy as np

from kmr_cli.dumps.about import KIND, About
from kmr_cli.dumps.store import attributes_of, busy, lock
from kmr_cli.errors import OutputError
from kmr_cli.process.scratch import beside
from kmr_cli.process.writing import open_to_others
from kmr_cli.records import DumpedValue

_UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, TypeError)
"""What h5py raises for damaged files."""
_BITS = {1: "uint8", 2: "uint16"}


def create(place: Path, about: About, values: Sequence[DumpedValue], names: Sequence[str]) -> None:
    """See :class:`kmr_cli.dumps.store.Kind`."""
    types = [_type(value) for value in values]
    prefix, suffix, folder = beside(place)
    handle, name = tempfile.mkstemp(suffix, prefix, folder)
    temporary = Path(name)
    try:
        os.close(handle)
        with h5py.File(temporary, "w") as file:
            for key, said in about.attributes().items():
                file.attrs[key] = _text(said) if isinstance(said, str) else said
            _lay_out(file, "index", (about.samples,), h5py.h5t.NATIVE_INT64)
            for value, key, kind in zip(values, names, types, strict=True):
                group = file.require_group(key.partition("/")[0])
                group.attrs["layer"], group.attrs["call"] = _text(value.layer), value.call
                dataset = _lay_out(group, value.port, (about.samples, *value.shape), kind)
                for attribute, said in attributes_of(value).items():
                    dataset.attrs[attribute] = _text(said) if isinstance(said, str) else said
        with temporary.open("r+b") as file:
            (offset,) = _offsets(temporary, ["index"])
            file.seek(offset)
            file.write(np.full(about.samples, -1, np.int64).data)
            os.fsync(file.fileno())
        open_to_others(temporary)
        temporary.rename(place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_about(place: Path) -> About | None:
    """See :class:`kmr_cli.dumps.store.Kind`."""
    try:
        with h5py.File(place, "r") as file:
            if KIND not in file.attrs:
                return None
            attributes = {name: _plain(value) for name, value in file.attrs.items()}
            values: dict[str, str] = {}
            for group, ports in file.items():
                if isinstance(ports, h5py.Group):
                    for port, dataset in ports.items():
                        values[f"{group}/{port}"] = str(dataset.attrs.get("described", ""))
    except BlockingIOError:
        raise busy(place) from None
    except _UNREADABLE:
        return None
    return About.of(attributes, values, str(place))


def open_store(place: Path, about: About, values: Sequence[DumpedValue], names: Sequence[str]) -> Places:
    """See :class:`kmr_cli.dumps.store.Kind`."""
    try:
        offsets = _offsets(place, ["index", *names])
    except _UNREADABLE as exc:
        raise OutputError(f"{place}: damaged", "give another name, or --force to begin again") from exc
    file = os.open(place, os.O_RDWR)
    lock(file, place)
    return Places(file, about, values, offsets)


class Places:
    """Implements :class:`kmr_cli.dumps.store.Store`, for the threads of one process."""

    def __init__(self, file: int, about: About, values: Sequence[DumpedValue], offsets: Sequence[int]) -> None:
        self._file, self._about = file, about
        self._index, *self._offsets = offsets
        self._rows = [math.prod(value.shape) * np.dtype(value.dtype).itemsize for value in values]

    def write(self, value: int, batch: int, rows: np.ndarray) -> None:
        """See :class:`kmr_cli.dumps.store.Store`."""
        start = batch * self._about.batch_size
        rows = np.ascontiguousarray(rows[: self._about.samples - start])
        if rows.size:
            piece = rows.reshape(-1).view(np.uint8).data
            _write_at(self._file, piece, self._offsets[value] + start * self._rows[value])

    def finish(self, batch: int) -> None:
        """See :class:`kmr_cli.dumps.store.Store`."""
        os.fsync(self._file)
        size, first = self._about.batch_size, self._about.first
        start, stop = batch * size, min((batch + 1) * size, self._about.samples)
        rows = np.arange(first + start, first + stop, dtype=np.int64)
        _write_at(self._file, rows.view(np.uint8).data, self._index + start * rows.itemsize)
        os.fsync(self._file)

    def done(self) -> frozenset[int]:
        """See :class:`kmr_cli.dumps.store.Store`; a batch of which not all rows are noted was not finished."""
        size, samples = self._about.batch_size, self._about.samples
        index = np.frombuffer(os.pread(self._file, samples * 8, self._index), np.int64)
        expected = self._about.first + np.arange(samples)
        starts = range(0, samples, size)
        same = index == expected[: len(index)]
        return frozenset(start // size for start in starts if same[start : start + size].all())

    def close(self) -> None:
        """See :class:`kmr_cli.dumps.store.Store`."""
        os.close(self._file)


def _lay_out(group: Any, name: str, shape: tuple[int, ...], kind: Any) -> Any:
    """A data set whose place in the file is settled at once, and which is filled with nothing."""
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_layout(h5py.h5d.CONTIGUOUS)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    return h5py.Dataset(h5py.h5d.create(group.id, name.encode(), kind, h5py.h5s.create_simple(shape), plan))


def _offsets(place: Path, names: Sequence[str]) -> list[int]:
    """Where each data set begins in the file; one without elements begins nowhere."""
    with h5py.File(place, "r") as file:
        found = [(file[name].id.get_offset(), file[name].size) for name in names]
    if any(offset is None and size for offset, size in found):
        raise ValueError("a data set without a place")
    return [offset or 0 for offset, _ in found]


def _type(value: DumpedValue) -> Any:
    """The data type in the file. Readers of HDF5 know bfloat16 by how it is laid out, and give it as float32."""
    if value.dtype == "string":
        raise OutputError(
            f"{value.layer!r} {value.port} holds text, which has no fixed place in an .h5 file",
            "write a .zarr, or leave that layer out",
        )
    if value.dtype == "bfloat16":
        kind = h5py.h5t.IEEE_F32LE.copy()
        kind.set_fields(15, 7, 8, 0, 7)
        kind.set_size(2)
        kind.set_ebias(127)
        return kind
    dtype = np.dtype(value.dtype)
    if dtype.kind not in "biufc" or hasattr(ml_dtypes, value.dtype):
        bits = _BITS.get(dtype.itemsize)
        if bits is None:
            raise OutputError(f"values of the dtype {value.dtype} cannot be written to an .h5 file")
        dtype = np.dtype(bits)
    return h5py.h5t.py_create(dtype, logical=True)


def _write_at(file: int, piece: memoryview, offset: int) -> None:
    while piece.nbytes:
        written = os.pwrite(file, piece, offset)
        piece, offset = piece[written:], offset + written


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _text(text: str) -> str:
    # HDF5 strings end at the first NUL and must be UTF-8.
    return text.encode("utf-8", errors="backslashreplace").decode().replace("\0", "\\x00")
