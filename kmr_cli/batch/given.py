"""From what the user gives (files, arrays, nothing) to a batch that fits the model, or an error that says why not."""

from __future__ import annotations

import contextlib
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import ml_dtypes  # noqa: F401  (registers bfloat16 and float8 with NumPy, so that np.dtype knows them by name)
import numpy as np

from kmr_cli.batch.fit import GivenInput
from kmr_cli.batch.words import listed
from kmr_cli.errors import BatchError
from kmr_cli.records import Batch


def read_files(arguments: Iterable[str]) -> list[GivenInput]:
    """Read ``FILE`` and ``NAME=FILE`` arguments; npy holds one array, npz any number.

    Raises:
        BatchError: a file that cannot be read, or holds Python objects.
    """
    given: list[GivenInput] = []
    for argument in arguments:
        name, equals, file = argument.partition("=")
        if not equals or Path(argument).exists():
            name, file = "", argument
        given.extend(_read(Path(file), name or None))
    return given


def from_arrays(data: Mapping[str, object] | object) -> list[GivenInput]:
    """The same for arrays given in Python: one array, or a mapping from input names to arrays."""
    if isinstance(data, Mapping):
        return [GivenInput(str(name), str(name), _as_array(value, str(name))) for name, value in data.items()]
    return [GivenInput(None, "the array", _as_array(data, "the data"))]


def _as_array(value: object, name: str) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError as exc:
        raise BatchError(
            f"{name}: rows of different lengths do not form an array", "pad them to the same length"
        ) from exc


_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,  # encrypted, or compressed in a way that zipfile does not know (NotImplementedError)
    SyntaxError,  # NumPy reads an array's header as a Python literal
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def _read(path: Path, name: str | None) -> list[GivenInput]:
    try:
        with contextlib.ExitStack() as opened:
            # Opened here, since np.load leaves the file open where it is damaged.
            archive = np.load(opened.enter_context(path.open("rb")), allow_pickle=False)
            if isinstance(archive, np.ndarray):
                return [GivenInput(name, str(path), archive)]
            opened.enter_context(archive)
            keys: list[str] = [name] if name is not None and name in archive.files else archive.files
            if name is not None and len(keys) > 1:
                raise BatchError(f"{path}: holds {listed(keys)}, not one array for {name!r}", f"give --input {path}")
            arrays = [(key, archive[key]) for key in keys]
    except FileNotFoundError:
        raise BatchError(f"{path}: no such file", "--input takes FILE.npy, FILE.npz or NAME=FILE") from None
    except MemoryError as exc:
        raise BatchError(f"{path}: declares an array that does not fit into memory") from exc
    except _UNREADABLE as exc:
        if "allow_pickle" in str(exc):
            problem = "holds Python objects, which are not read from files"
        elif isinstance(exc, OSError) and exc.strerror:
            problem = f"cannot be read ({exc.strerror})"
        else:
            problem = "not a .npy or .npz file, or cut short"
        raise BatchError(f"{path}: {problem}", "write it with numpy.save or numpy.savez") from exc
    if not arrays:
        raise BatchError(f"{path}: holds no arrays")
    if name is not None:
        return [GivenInput(name, f"{path}:{arrays[0][0]}", arrays[0][1])]
    alone = len(arrays) == 1
    return [GivenInput(key, f"{path}:{key}", value, container=not alone) for key, value in arrays]


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
