"""A whole data set, of which some samples at a time are in memory.

Of files that can be read in the middle (``.npy``, ``.npz`` as ``numpy.savez`` writes it, HDF5, Parquet, safetensors,
images) only these rows are read. Tables of text, JSON and compressed archives are read once, as a whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kmr_cli.batch import files
from kmr_cli.batch.files.source import Source, parse
from kmr_cli.batch.from_function import from_function
from kmr_cli.batch.given import from_arrays, kind_of, read_files
from kmr_cli.batch.given_input import GivenInput, Notice
from kmr_cli.batch.request import BatchRequest
from kmr_cli.config.reading import Reading, Rows
from kmr_cli.errors import BatchError
from kmr_cli.records import TensorSpec


@dataclass(frozen=True)
class DataSet:
    """Samples that are read as they are asked for.

    Attributes:
        samples: how many there are.
        first: the number of the first of them in the files; more than 0 where only some rows are wanted.
        read: the inputs of samples from ``start`` up to ``stop``, counted from the first.
    """

    samples: int
    first: int
    read: Callable[[int, int], list[GivenInput]]


def data_set(asked: BatchRequest, names: Collection[str], *, channels_first: bool) -> DataSet:
    """What a user names as data.

    Args:
        asked: files, arrays or a function.
        names: of the model's inputs, as far as they are known.
        channels_first: the layout of images where the model declares none.

    Raises:
        BatchError: nothing is named, a file cannot be read, or files of different lengths.
        MissingFrameworkError: the library that reads such a file is not installed.
    """
    if asked.files:
        return _of_files(asked.files, asked.reading, names, channels_first=channels_first)
    if asked.synthetic:
        raise BatchError("there is no data to run the model on", "give --input FILE")
    whole = from_arrays(asked.data) if asked.function is None else from_function(asked.function)
    return DataSet(_rows_given(whole, names), 0, lambda start, stop: [_part(one, start, stop) for one in whole])


def _of_files(arguments: Sequence[str], reading: Reading, names: Collection[str], *, channels_first: bool) -> DataSet:
    lengths: dict[str, int] = {}
    whole: list[str] = []
    images: dict[str | None, list[Path]] = {}
    for argument in arguments:
        source = parse(argument)
        kind = kind_of(source.path)
        if kind == "image":
            images.setdefault(source.name, []).append(source.path)
            continue
        found = files.lengths(kind, source)
        if found is None:
            whole.append(argument)
        else:
            lengths[argument] = _length(source, found, names)
    for places in images.values():
        lengths[str(places[0])] = files.count_images(places)
    apart = [argument for argument in arguments if argument not in whole]
    # Size and scale are for images, and refused where there are none: by whoever reads the files.
    content = read_files(whole, Reading(reading.rows) if apart else reading) if whole else []
    rows = reading.chosen
    if content:
        lengths[", ".join(whole)] = rows.start + _rows_of_whole(content, names)
    total = _same(lengths)
    chosen = rows.within(total, ", ".join(arguments))
    kept = [replace(one, array=_Once(one)) for one in content]

    def read(start: int, stop: int) -> list[GivenInput]:
        found = [_part(one, start, stop) for one in kept]
        if apart:
            these = Rows(chosen.start + start, chosen.start + stop)
            part = Reading(str(these), reading.resize, reading.scale)
            found += read_files(apart, part, channels_first=channels_first)
        return found

    return DataSet(chosen.stop - chosen.start, chosen.start, read)


def _length(source: Source, found: dict[str, int], names: Collection[str]) -> int:
    """Rows of the arrays of a file that are wanted."""
    if source.key is not None:
        key = source.key.strip("/")
        wanted = {key: found[key]} if key in found else found
    else:
        wanted = {name: rows for name, rows in found.items() if name in names or name == source.name} or found
    if len(set(wanted.values())) > 1:
        each = ", ".join(f"{name} {rows}" for name, rows in list(wanted.items())[:6])
        raise BatchError(
            f"{source.path}: its arrays hold different numbers of rows: {each}",
            f"--input NAME={source.path}:{next(iter(wanted))} names the one for each input",
        )
    return next(iter(wanted.values()), 0)


def _same(lengths: dict[str, int]) -> int:
    if len(set(lengths.values())) > 1:
        each = ", ".join(f"{name} {rows}" for name, rows in lengths.items())
        raise BatchError(
            f"the inputs hold different numbers of samples: {each}", "every input needs one row per sample"
        )
    total = next(iter(lengths.values()), 0)
    if not total:
        raise BatchError("the data holds no samples")
    return total


def _rows_given(given: Sequence[GivenInput], names: Collection[str]) -> int:
    """Samples in arrays that are in memory: all that the model may take hold the same number."""
    wanted = [one for one in given if one.name in names] or list(given)
    return _same({one.source: len(one.array) for one in wanted if isinstance(one.array, np.ndarray) and one.array.ndim})


def _rows_of_whole(given: Sequence[GivenInput], names: Collection[str]) -> int:
    """The same of what is made of a file once it is known for which input: as numbers or text, rows are rows."""
    wanted = [one for one in given if one.name in names] or list(given)
    found = {}
    for one in wanted:
        with contextlib.suppress(BatchError):  # which is told if an input takes it
            array = one.array if isinstance(one.array, np.ndarray) else one.array(TensorSpec(one.name or ""), _quiet)
            found[one.source] = len(array)
    return _same(found)


def _quiet(_text: str) -> None:
    """Takes notices that are told when an input takes the data."""


class _Once:
    """Makes an array for an input the first time that it is asked for."""

    def __init__(self, given: GivenInput) -> None:
        self._array = given.array
        self._made: dict[str, np.ndarray] = {}

    def __call__(self, spec: TensorSpec, notice: Notice) -> np.ndarray:
        if spec.name not in self._made:
            array = self._array
            self._made[spec.name] = array if isinstance(array, np.ndarray) else array(spec, notice)
        return self._made[spec.name]


def _part(given: GivenInput, start: int, stop: int) -> GivenInput:
    """Some of the samples of an input."""
    array = given.array
    if isinstance(array, np.ndarray):
        return replace(given, array=array[start:stop])
    made = array

    def rows(spec: TensorSpec, notice: Notice) -> np.ndarray:
        return made(spec, notice)[start:stop]

    return replace(given, array=rows)
