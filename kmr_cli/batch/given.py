"""From what the user gives (files, arrays, nothing) to a batch that fits the model, or an error that says why not."""

from __future__ import annotations

import contextlib
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes  # noqa: F401  (registers bfloat16 and float8 with NumPy, so that np.dtype knows them by name)
import numpy as np

from kmr_cli.batch.fit import GivenInput
from kmr_cli.batch.text_files import NotTextError, read_text
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
        name, file = split_argument(argument)
        given.extend(_read(Path(file), name or None))
    return given


def split_argument(argument: str) -> tuple[str, str]:
    """``FILE`` or ``NAME=FILE`` as (name, file); the name is empty where there is none."""
    name, equals, file = argument.partition("=")
    return (name, file) if equals and not Path(argument).exists() else ("", argument)


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
            file = opened.enter_context(path.open("rb"))
            _refuse_others(path, file.read(_HEAD))
            file.seek(0)
            if _holds_objects(file):
                return [GivenInput(name, str(path), read_text(file))]
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                _refuse_fields(path, archive)
                return [GivenInput(name, str(path), archive)]
            opened.enter_context(archive)
            keys: list[str] = [name] if name is not None and name in archive.files else archive.files
            if name is not None and len(keys) > 1:
                raise BatchError(f"{path}: holds {listed(keys)}, not one array for {name!r}", f"give --input {path}")
            arrays = [(key, _member(archive, key)) for key in keys]
            for _, array in arrays:
                _refuse_fields(path, array)
    except NotTextError as exc:
        raise BatchError(
            f"{path}: holds {exc}, which are not read from files",
            "save numbers, or text as array.astype(str), with numpy.save or numpy.savez",
        ) from exc
    except FileNotFoundError:
        raise BatchError(f"{path}: no such file", "--input takes FILE.npy, FILE.npz or NAME=FILE") from None
    except MemoryError as exc:
        raise BatchError(f"{path}: declares an array that does not fit into memory") from exc
    except _UNREADABLE as exc:
        if isinstance(exc, OSError) and exc.strerror:
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


_HEAD = 8
_KINDS = {b"\x89PNG": "a PNG picture", b"\xff\xd8\xff": "a JPEG picture", b"\x89HDF": "an HDF5 file", b"%PDF": "a PDF"}


def _refuse_others(path: Path, head: bytes) -> None:
    """Refuse what neither is nor was an array file."""
    if head.startswith((b"\x93NUMPY"[: max(len(head), 1)], b"PK")) or not head:
        return
    kind = next((what for start, what in _KINDS.items() if head.startswith(start)), None)
    if kind is None:
        text = all(byte in b"\t\n\r" or byte >= 32 for byte in head) and b"\0" not in head
        kind = f"a {path.suffix.removeprefix('.')} file" if text and path.suffix else "text" if text else None
    raise BatchError(
        f"{path}: not a .npy or .npz file" + (f" but {kind}" if kind else ""),
        "read it in Python and write the array with numpy.save or numpy.savez: .npy and .npz are read",
    )


def _holds_objects(file: BinaryIO) -> bool:
    """Whether this is an .npy file of Python objects; the file is at its beginning afterwards."""
    try:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        dtype = header(file)[2]
    except (ValueError, SyntaxError, tokenize.TokenError, EOFError):
        return False  # an archive, or damaged, which NumPy says
    finally:
        file.seek(0)
    return bool(dtype.hasobject and dtype.names is None)


def _member(archive: Any, key: str) -> np.ndarray:
    """One array of an .npz file."""
    try:
        array: np.ndarray = archive[key]
    except ValueError as exc:
        if "allow_pickle" not in str(exc):
            raise
        with archive.zip.open(f"{key}.npy") as member:
            return read_text(member)
    return array


def _refuse_fields(path: Path, array: np.ndarray) -> None:
    if array.dtype.names:
        raise BatchError(
            f"{path}: an array with fields ({', '.join(array.dtype.names)}), which is no tensor",
            "numpy.lib.recfunctions.structured_to_unstructured makes one axis of them; or save each as an array",
        )


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
