"""The outside of a ``.keras`` archive: a zip with ``config.json``, ``metadata.json`` and the weights."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from kmr_cli.errors import ModelFileError

CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"
LOCAL_HEADER = b"PK\x03\x04"
MAX_JSON = 16 * 1024 * 1024
"""Bytes. A config larger than this is not one (the largest of Keras' own models has 2 MB); a small archive can unpack
to any size, and parsed JSON takes twenty times its text."""


def looks_like_archive(path: Path) -> bool:
    """Whether a file starts like a Keras archive, also where its end (the table of contents) is missing."""
    try:
        with path.open("rb") as file:
            head = file.read(30 + 64)
            if not head.startswith(LOCAL_HEADER):
                return False
            length = struct.unpack_from("<H", head, 26)[0]
            if head[30 : 30 + length] in (METADATA.encode(), CONFIG.encode()):
                return True
            with zipfile.ZipFile(file) as archive:
                return {METADATA, CONFIG} <= set(archive.namelist())
    except (OSError, struct.error, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """The opened zip, with every way in which it can be broken turned into a :class:`ModelFileError`."""
    try:
        if path.stat().st_size == 0:
            raise ModelFileError(f"{path.name}: the file is empty", "copy or save the file again")
        with zipfile.ZipFile(path) as archive:
            yield archive
    except zipfile.BadZipFile as exc:
        with path.open("rb") as file:
            cut = file.read(4) == LOCAL_HEADER
        if cut:
            raise ModelFileError(
                f"{path.name}: the archive is damaged or cut short ({exc})", "copy or save the file again"
            ) from exc
        raise ModelFileError(
            f"{path.name}: not a Keras archive (not a zip file)", "give a file written by model.save('name.keras')"
        ) from exc
    except UnicodeDecodeError as exc:
        raise ModelFileError(
            f"{path.name}: the archive is damaged (a name in it isn't text)", "copy or save the file again"
        ) from exc
    except (OSError, NotImplementedError) as exc:
        raise ModelFileError(f"{path.name}: cannot be read ({exc})") from exc


def read_json(path: Path, archive: zipfile.ZipFile, member: str) -> dict[str, Any]:
    """One JSON object of the archive.

    Raises:
        ModelFileError: it is missing, damaged, or not an object.
    """
    try:
        info = archive.getinfo(member)
        if info.file_size > MAX_JSON:
            raise ModelFileError(f"{path.name}: {member} declares {info.file_size} bytes, too many for a description")
        value = json.loads(archive.read(info))
    except KeyError:
        raise ModelFileError(
            f"{path.name}: the archive has no {member}", "give a file written by model.save('name.keras')"
        ) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as exc:
        raise ModelFileError(f"{path.name}: {member} is damaged ({exc})", "copy or save the file again") from exc
    except (ValueError, RecursionError) as exc:
        raise ModelFileError(f"{path.name}: {member} is not valid JSON ({exc})", "copy or save the file again") from exc
    if not isinstance(value, dict):
        raise ModelFileError(f"{path.name}: {member} is not a JSON object")
    return value


@contextmanager
def weights_file(path: Path, archive: zipfile.ZipFile) -> Iterator[BinaryIO | None]:
    """The weights member as a seekable file, or None where the archive has none.

    A stored member (how Keras writes it) is a window onto the archive: only what is asked for is read. It is not
    mapped: pages of a mapping count as memory of this process, and many more of them than were looked at. A
    compressed one is read through the zip, forwards and backwards, without unpacking it whole.
    """
    try:
        info = archive.getinfo(WEIGHTS)
    except KeyError:
        yield None
        return
    if info.compress_type != zipfile.ZIP_STORED or info.file_size == 0:
        with archive.open(info) as member:
            yield member  # type: ignore[misc]  # IO[bytes]: has all that h5py asks for
        return
    with path.open("rb", buffering=0) as file:
        length = os.fstat(file.fileno()).st_size
        start = member_start(file, info)
        if start + info.file_size > length:
            raise ModelFileError(f"{path.name}: the archive is cut short ({WEIGHTS})", "copy or save the file again")
        yield Window(file, start, info.file_size)  # type: ignore[misc]


def member_start(file: io.FileIO, info: zipfile.ZipInfo) -> int:
    """Where a member's bytes begin: after its local header, whose name and extra field have their own lengths."""
    file.seek(info.header_offset)
    header = file.read(30)
    if len(header) < 30 or header[:4] != LOCAL_HEADER:
        raise zipfile.BadZipFile(f"no local header for {info.filename}")
    name, extra = struct.unpack("<HH", header[26:30])
    return int(info.header_offset + 30 + name + extra)


class Window(io.RawIOBase):
    """Part of an open file as a read-only, seekable file. It does not close what it looks into."""

    def __init__(self, file: io.FileIO, start: int, size: int) -> None:
        self._file, self._start, self._size = file, start, size
        self._at = 0

    def readable(self) -> bool:
        """See :class:`io.RawIOBase`."""
        return True

    def seekable(self) -> bool:
        """See :class:`io.RawIOBase`."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See :class:`io.RawIOBase`."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """See :class:`io.RawIOBase`."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """See :class:`io.RawIOBase`."""
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:  # a damaged file points further than a file can be long
            return 0
        self._file.seek(self._start + self._at)
        read = self._file.readinto(memoryview(buffer)[:wanted]) or 0
        self._at += read
        return read
