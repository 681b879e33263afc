"""From what the user gives (files, arrays, a function, nothing) to a batch that fits the model, or why it doesn't."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from kmr_cli.batch import files
from kmr_cli.batch.files.source import parse
from kmr_cli.batch.fit import has_fields
from kmr_cli.batch.given_input import GivenInput
from kmr_cli.batch.other_files import HEAD, KINDS, refuse_no_file, refuse_others
from kmr_cli.batch.ragged import rows_of
from kmr_cli.config.reading import WHOLE, Reading
from kmr_cli.errors import BatchError
from kmr_cli.records import Batch


def read_files(
    arguments: Iterable[str],
    reading: Reading = WHOLE,
    *,
    channels_first: bool = False,
) -> list[GivenInput]:
    """Read what arguments of ``--input`` name. Images for one input, and those of a folder, are its samples.

    Args:
        arguments: ``[NAME=]FILE[:KEY]``.
        reading: rows, and size and scale of images.
        channels_first: the layout of images where the model declares none.

    Raises:
        BatchError: a file that cannot be read, holds Python objects, or isn't data.
        MissingFrameworkError: the library that reads such a file is not installed.
    """
    given: list[GivenInput] = []
    images: dict[str | None, list[Path]] = {}
    for argument in arguments:
        source = parse(argument)
        kind = kind_of(source.path)
        if kind == "image":
            if source.key is not None:
                raise BatchError(f"{source.path}: an image, which has no {source.key!r}", f"--input {source.path}")
            images.setdefault(source.name, []).append(source.path)
        else:
            whole = None if source.key is None or source.name is None else source.label(source.key)
            given.extend(_told(one, whole or one.source, source.name) for one in files.read(kind, source, reading))
    for name, places in images.items():
        found = files.read_images(name, places, reading, channels_first=channels_first)
        given.append(_told(found, str(places[0]), name))
    if not images and (reading.resize or reading.scale):
        option = "--resize" if reading.resize else "--scale"
        raise BatchError("no image is given, and size and scale are for images", f"leave out {option}")
    return given


def _told(given: GivenInput, argument: str, name: str | None) -> GivenInput:
    """With what to type for it."""
    return replace(given, argument=argument, named=name is not None)


def try_apart(arguments: Iterable[str]) -> dict[Path, tuple[str, ...]]:
    """The files that :func:`attempt` is for, in a process that can be ended: each with the arguments that name it.

    Raises:
        BatchError: as :func:`read_files`.
    """
    named: dict[Path, tuple[str, ...]] = {}
    for argument in arguments:
        path = parse(argument).path
        if path in named or kind_of(path) == "hdf5":
            named[path] = (*named.get(path, ()), argument)
    return named


def attempt(arguments: Iterable[str], reading: Reading) -> None:
    """Read what these arguments of :func:`try_apart` want, and forget it.

    Raises:
        BatchError: as :func:`read_files`.
    """
    from kmr_cli.batch.files import hdf5

    for argument in arguments:
        hdf5.attempt(parse(argument), reading)


def kind_of(path: Path) -> str:
    """What reads a file; a folder stands for the images in it."""
    refuse_no_file(path)
    if path.is_dir():
        return "image"
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except FileNotFoundError:
        raise BatchError(f"{path}: no such file", f"--input takes a file of data ({KINDS})") from None
    except OSError as exc:
        raise BatchError(f"{path}: cannot be read ({exc.strerror})") from exc
    kind = files.kind_of(path, head)
    if kind is None:
        refuse_others(path, head)
    return kind or "arrays"


def from_arrays(data: Mapping[str, object] | object) -> list[GivenInput]:
    """The same for arrays given in Python: one array, or a mapping from input names to arrays."""
    if isinstance(data, Mapping):
        return [GivenInput(str(name), str(name), _as_array(value, str(name))) for name, value in data.items()]
    return [GivenInput(None, "the array", _as_array(data, "the data"))]


def _as_array(value: object, name: str) -> np.ndarray:
    if callable(dense := getattr(value, "toarray", None)):  # a sparse matrix of SciPy
        value = dense()
    try:
        array = np.asarray(value)
    except ValueError as exc:
        rows = rows_of(value)
        if rows is not None:
            return rows  # for an input that is ragged; others refuse it
        raise BatchError(
            f"{name}: rows of different lengths do not form an array", "pad them to the same length"
        ) from exc
    except (TypeError, RuntimeError) as exc:  # tensors on a device, with gradients, of a dtype that NumPy lacks
        line = (str(exc).strip().splitlines() or [""])[0].rstrip(".")
        raise BatchError(
            f"{name}: a {type(value).__name__} that isn't an array for NumPy ({line})",
            "give a NumPy array: tensor.detach().cpu().float().numpy() of a torch tensor",
        ) from exc
    if array.dtype.names:
        raise has_fields(name, array.dtype)
    if array.dtype == object and array.ndim == 0 and not isinstance(value, np.ndarray):
        raise BatchError(
            f"{name}: a {type(value).__name__}, not an array", "give an array, or a mapping from input names to arrays"
        )
    return array


def batch_size(batch: Batch) -> int:
    """Number of samples."""
    return int(next(iter(batch.values())).shape[0])


def number_samples(batch: Batch) -> np.ndarray:
    """The number of every sample of an input batch, to which all owners refer: its place on axis 0.

    The same numbers as the layer :class:`kmr_cli.layers.DynamicBatchIndexGenerator` gives inside of a model; a test
    holds the two together.

    Returns:
        int32, ``(B,)``: 0, 1, … B-1.
    """
    return np.arange(batch_size(batch), dtype=np.int32)
