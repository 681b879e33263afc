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
from kmr_cli.batch.other_files import HEAD, other_archive, refuse_no_file, refuse_others
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
        if not file:
            raise BatchError(f"--input {argument}: no file is named", f"--input {name or 'NAME'}=FILE.npy")
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
        array = np.asarray(value)
    except ValueError as exc:
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
        raise _has_fields(name, array.dtype)
    if array.dtype == object and array.ndim == 0 and not isinstance(value, np.ndarray):
        raise BatchError(
            f"{name}: a {type(value).__name__}, not an array", "give an array, or a mapping from input names to arrays"
        )
    return array


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
            refuse_no_file(path)
            # Opened here, since np.load leaves the file open where it is damaged.
            file = opened.enter_context(path.open("rb"))
            refuse_others(path, file.read(HEAD))
            file.seek(0)
            dtype = _dtype_of(file)
            if dtype is not None and dtype.names:
                raise _has_fields(path, dtype)
            if dtype is not None and dtype.hasobject:
                return [GivenInput(name, str(path), read_text(file))]
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                return [GivenInput(name, str(path), archive)]
            opened.enter_context(archive)
            if (other := other_archive(path, archive.zip.namelist())) is not None:
                raise other
            keys: list[str] = [name] if name is not None and name in archive.files else archive.files
            if name is not None and len(keys) > 1:
                raise BatchError(f"{path}: holds {listed(keys)}, not one array for {name!r}", f"give --input {path}")
            arrays = [(key, _member(archive, key)) for key in keys]
            for _, array in arrays:
                if array.dtype.names:
                    raise _has_fields(path, array.dtype)
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
        raise BatchError(f"{path}: holds no arrays", "write it with numpy.savez")
    if name is not None:
        return [GivenInput(name, f"{path}:{arrays[0][0]}", arrays[0][1])]
    alone = len(arrays) == 1
    return [GivenInput(key, f"{path}:{key}", value, container=not alone) for key, value in arrays]


def _dtype_of(file: BinaryIO) -> np.dtype[Any] | None:
    """The dtype that an .npy file declares, None where it isn't one; the file is at its beginning afterwards."""
    try:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        dtype: np.dtype[Any] = header(file)[2]
    except (ValueError, SyntaxError, tokenize.TokenError, EOFError):
        return None  # an archive, or damaged, which NumPy says
    finally:
        file.seek(0)
    return dtype


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


def _has_fields(source: Path | str, dtype: np.dtype[Any]) -> BatchError:
    fields = ", ".join(dtype.names or ())
    return BatchError(
        f"{source}: a structured array, with the fields {fields}, where a tensor is needed",
        "numpy.lib.recfunctions.structured_to_unstructured makes one axis of them; or save each field as an array",
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
