"""``.npy`` and ``.npz`` files, as NumPy writes them."""

from __future__ import annotations

import contextlib
import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kmr_cli.batch.files.scipy_matrices import dense, is_matrix
from kmr_cli.batch.files.source import Source, refuse_large
from kmr_cli.batch.fit import has_fields
from kmr_cli.batch.given_input import GivenInput
from kmr_cli.batch.other_files import other_archive
from kmr_cli.batch.text_files import NotTextError, read_header, read_text
from kmr_cli.config.reading import Reading, Rows
from kmr_cli.errors import BatchError

_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,  # encrypted, or compressed in a way that zipfile does not know (NotImplementedError)
    SyntaxError,  # NumPy reads an array's header as a Python literal
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)
_PIECE = 2**20
_MOST_ARRAYS = 10_000
_MOST_EXPANSION, _SMALL = 200, 2**28
"""Times that a compressed array may be larger than in the file, once it takes so many bytes."""


def read(source: Source, reading: Reading) -> list[GivenInput]:
    """The array of an .npy file, or those of an .npz file by their names. Rows are read without the others.

    A sparse matrix of SciPy becomes a dense array.

    Raises:
        BatchError: a damaged file, or one that holds Python objects.
    """
    path = source.path
    rows = None if reading.rows is None else reading.chosen
    try:
        # Opened here, since np.load leaves the file open where it is damaged.
        with path.open("rb") as file, contextlib.ExitStack() as opened:
            dtype = _dtype_of(file)
            if dtype is not None and dtype.names:
                raise has_fields(path, dtype)
            if dtype is not None:
                if source.key is not None:
                    raise BatchError(f"{path}: holds one array without a name", f"give --input {path}")
                return [GivenInput(source.name, str(path), _array(file, dtype, rows, path))]
            archive = np.load(file, allow_pickle=False)
            opened.enter_context(archive)
            if len(archive.files) > _MOST_ARRAYS:
                raise BatchError(f"{path}: holds {len(archive.files):,} arrays, and no model has as many inputs")
            if (other := other_archive(path, archive.zip.namelist())) is not None:
                raise other
            if not archive.files:
                raise BatchError(f"{path}: holds no arrays", "write it with numpy.savez")

            if is_matrix(archive.files):
                _refuse_unpacked(archive, archive.files, path)
                if source.key is not None:
                    raise BatchError(f"{path}: holds one sparse matrix, without a name", f"give --input {path}")
                return [GivenInput(source.name, str(path), dense({key: archive[key] for key in archive}, rows, path))]

            def member(key: str) -> np.ndarray:
                array = _member(archive, key, rows, path)
                if array.dtype.names:
                    raise has_fields(path, array.dtype)
                return array

            chosen = source.choose(archive.files, "array")
            if rows is None:
                _refuse_unpacked(archive, chosen, path)
            return source.inputs(chosen, member)
    except NotTextError as exc:
        raise BatchError(
            f"{path}: holds {exc}, which are not read from files",
            "save numbers, or text as array.astype(str), with numpy.save or numpy.savez",
        ) from exc
    except MemoryError as exc:
        raise BatchError(f"{path}: declares an array that does not fit into memory") from exc
    except _UNREADABLE as exc:
        if isinstance(exc, OSError) and exc.strerror:
            problem = f"cannot be read ({exc.strerror})"
        else:
            problem = "not a .npy or .npz file, or cut short"
        raise BatchError(f"{path}: {problem}", "write it with numpy.save or numpy.savez") from exc


def lengths(source: Source) -> dict[str, int] | None:
    """The rows of each array; None where one of them can only be read as a whole: compressed, text, or by columns.

    The array of an .npy file has the name ``""``.
    """
    path = source.path
    try:
        with path.open("rb") as file:
            if _dtype_of(file) is not None:
                shape, _, dtype = read_header(file)
                return None if dtype.hasobject or not shape else {"": shape[0]}
            found = {}
            with zipfile.ZipFile(file) as archive:
                if is_matrix([name.removesuffix(".npy") for name in archive.namelist()]):
                    return None
                for info in archive.infolist():
                    if not _stored(info):
                        return None
                    with archive.open(info) as member:
                        shape, fortran, dtype = read_header(member)
                    if fortran or dtype.hasobject:
                        return None
                    if shape:
                        found[info.filename.removesuffix(".npy")] = shape[0]
            return found
    except _UNREADABLE:
        return None  # which is told by whoever reads it


def _stored(info: zipfile.ZipInfo) -> bool:
    """Whether the bytes of a member stand in the archive as they are."""
    return info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1


def _dtype_of(file: BinaryIO) -> np.dtype[Any] | None:
    """The dtype that an .npy file declares, None where it isn't one; the file is at its beginning afterwards."""
    try:
        dtype: np.dtype[Any] = read_header(file)[2]
    except (ValueError, SyntaxError, tokenize.TokenError, EOFError):
        return None  # an archive, or damaged, which NumPy says
    finally:
        file.seek(0)
    return dtype


def _array(file: BinaryIO, dtype: np.dtype[Any], rows: Rows | None, path: Path) -> np.ndarray:
    """The array of an .npy file; of rows, the memory that the others would take is not."""
    if dtype.hasobject:
        return _rows_of(read_text(file), rows, path)
    if rows is None:
        refuse_large(path.stat().st_size, path)
        array: np.ndarray = np.load(file, allow_pickle=False)
        return array
    mapped = np.lib.format.open_memmap(path, mode="r")
    return np.array(_rows_of(mapped, rows, path))


def _refuse_unpacked(archive: Any, keys: Sequence[str], path: Path) -> None:
    """Refuse arrays that would fill the memory, before they are unpacked."""
    infos = {info.filename: info for info in archive.zip.infolist()}
    chosen = [infos[name] for key in keys for name in (f"{key}.npy", key) if name in infos]
    refuse_large(sum(info.file_size for info in chosen), path)
    for info in chosen:
        if info.file_size > _MOST_EXPANSION * info.compress_size + _SMALL:
            raise BatchError(
                f"{path}:{info.filename.removesuffix('.npy')}: {info.compress_size / 1e6:.1f} MB of the file claim to"
                f" unpack to {info.file_size / 1e9:.1f} GB",
                "--rows 0:32 reads the first 32 rows alone; if it really holds that, save it with numpy.savez",
            )


def _member(archive: Any, key: str, rows: Rows | None, path: Path) -> np.ndarray:
    """One array of an .npz file; of rows, only these are read, or where it is compressed all up to them."""
    label = f"{path}:{key}"
    if rows is not None:
        info = archive.zip.getinfo(f"{key}.npy")
        if _stored(info):
            found = _in_place(archive.zip.fp, info, rows, label)
            if found is not None:
                return found
        else:
            with archive.zip.open(info) as member:
                shape, fortran, dtype = read_header(member)
                if not (fortran or dtype.hasobject or dtype.names) and shape:
                    return _stream(member, shape, dtype, rows.within(shape[0], label))
        _refuse_unpacked(archive, [key], path)
    try:
        array: np.ndarray = archive[key]
    except ValueError as exc:
        if "allow_pickle" not in str(exc):
            raise
        with archive.zip.open(f"{key}.npy") as member:
            array = read_text(member)
    return _rows_of(array, rows, label)


def _in_place(file: BinaryIO, info: zipfile.ZipInfo, rows: Rows, label: str) -> np.ndarray | None:
    """Rows of a member that stands in the archive as it is; None where they do not stand one after the other."""
    file.seek(info.header_offset + 26)  # behind it: how long name and extra field are
    begins = file.seek(info.header_offset + 30 + sum(struct.unpack("<HH", file.read(4))))
    shape, fortran, dtype = read_header(file)
    if fortran or dtype.hasobject or dtype.names or not shape:
        return None
    wanted, row = rows.within(shape[0], label), math.prod(shape[1:]) * dtype.itemsize
    if file.tell() + shape[0] * row > begins + info.file_size:  # else the next member would be taken for rows
        raise EOFError
    file.seek(wanted.start * row, os.SEEK_CUR)
    return _taken(file.read((wanted.stop - wanted.start) * row), shape, dtype, wanted)


def _stream(member: Any, shape: tuple[int, ...], dtype: np.dtype[Any], rows: slice) -> np.ndarray:
    row = math.prod(shape[1:]) * dtype.itemsize
    skipped = rows.start * row
    while skipped:
        piece = len(member.read(min(skipped, _PIECE)))
        if not piece:
            raise EOFError
        skipped -= piece
    return _taken(member.read((rows.stop - rows.start) * row), shape, dtype, rows)


def _taken(content: bytes, shape: tuple[int, ...], dtype: np.dtype[Any], rows: slice) -> np.ndarray:
    """Rows of an array, out of their bytes."""
    array: np.ndarray = np.frombuffer(bytearray(content), dtype).reshape(rows.stop - rows.start, *shape[1:])
    return array


def _rows_of(array: np.ndarray, rows: Rows | None, label: object) -> np.ndarray:
    if rows is None or not array.ndim:
        return array
    return np.asarray(array[rows.within(len(array), label)])
