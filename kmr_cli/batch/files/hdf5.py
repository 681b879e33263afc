"""HDF5 files: data sets by their path in the file, ``FILE.h5::dataset``; of rows, the hyperslab alone is read."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import h5py
import numpy as np

from kmr_cli.batch.files.source import Source, refuse_large
from kmr_cli.batch.fit import has_fields
from kmr_cli.batch.given_input import GivenInput
from kmr_cli.config.reading import Reading
from kmr_cli.errors import BatchError
from kmr_cli.formats.common.frameworks import first_line

_UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, TypeError)
"""What h5py raises for damaged files."""


def read(source: Source, reading: Reading) -> list[GivenInput]:
    """The data sets; each is read once an input takes it.

    Raises:
        BatchError: a damaged file, or no such data set.
    """
    return source.inputs(_keys(source), lambda key: lambda *_: _values(source, key, reading))


def lengths(source: Source) -> dict[str, int]:
    """The rows of every data set that has any.

    Raises:
        BatchError: as :func:`read`.
    """
    keys = _keys(source)
    try:
        with h5py.File(source.path, "r") as file:
            return {key: len(file[key]) for key in keys if file[key].shape}
    except _UNREADABLE as exc:
        raise BatchError(f"{source.path}: cannot be read ({first_line(exc)})") from exc


def attempt(source: Source, reading: Reading) -> None:
    """Read all that an input could take, and forget it.

    libhdf5 never comes back from some damaged files: a process that can be ended tries first.

    Raises:
        BatchError: as :func:`read`.
    """
    for key in _keys(source):
        with suppress(BatchError):  # which is told if an input takes it
            _values(source, key, reading)


def _keys(source: Source) -> list[str]:
    names: list[str] = []

    def visit(name: str, thing: Any) -> None:
        if isinstance(thing, h5py.Dataset):
            names.append(name)

    try:
        with h5py.File(source.path, "r") as file:
            file.visititems(visit)
    except _UNREADABLE as exc:
        raise BatchError(f"{source.path}: damaged, or no HDF5 file ({first_line(exc)})") from exc
    key = None if source.key is None else source.key.strip("/")
    return source._replace(key=key).choose(names, "dataset")


def _values(source: Source, key: str, reading: Reading) -> np.ndarray:
    """A data set, or rows of it."""
    label = source.label(key)
    try:
        with h5py.File(source.path, "r") as file:
            dataset = file[key]
            if dataset.dtype.names:
                raise has_fields(label, dataset.dtype)
            if not dataset.shape:
                raise BatchError(f"{label}: a single value, but samples lie along axis 0")
            rows = reading.chosen.within(len(dataset), label)
            refuse_large((rows.stop - rows.start) * (dataset.nbytes // max(len(dataset), 1)), label)
            if h5py.check_string_dtype(dataset.dtype):
                dataset = dataset.asstr()
            return np.asarray(dataset[rows])
    except MemoryError as exc:
        raise BatchError(f"{label}: does not fit into memory", "--rows 0:32 reads the first 32 rows alone") from exc
    except _UNREADABLE as exc:
        raise BatchError(f"{label}: cannot be read ({first_line(exc)})") from exc
