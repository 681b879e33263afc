"""Protocol buffers as bytes: finding the fields of a message without reading what they hold.

An ONNX file is one message, and most of it is weights. Walking over the fields shows where these lie without copying
them, and lets a message be put together from parts of a file byte for byte.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, overload

from kmr_cli.formats.common.varint import varint_bytes

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}
_LONGEST_VARINT = 10

_BLOCK = 1 << 16


class WireError(ValueError):
    """These bytes aren't a message: a field reaches beyond the end, or has a kind that does not exist."""


class FileBytes:
    """The bytes of an open file, read where they are asked for, a block at a time.

    A memory map would do as well, but counts as memory of this process, and kills it where the file becomes shorter.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._descriptor = file.fileno()
        self._size = os.fstat(self._descriptor).st_size
        self._start, self._block = 0, b""

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> bytes: ...
    def __getitem__(self, place: int | slice) -> int | bytes:
        """A byte, or those between two places.

        Raises:
            WireError: the file does not reach so far any more.
        """
        if isinstance(place, slice):
            start, end, _ = place.indices(self._size)
            inside = self._block[start - self._start : end - self._start] if start >= self._start else b""
            return inside if len(inside) == end - start else self._read(start, end - start)
        if not 0 <= place - self._start < len(self._block):
            self._start, self._block = place, os.pread(self._descriptor, _BLOCK, place)
        try:
            return self._block[place - self._start]
        except IndexError:
            raise WireError("the file became shorter") from None

    def _read(self, start: int, length: int) -> bytes:
        parts = []
        while length > 0 and (part := os.pread(self._descriptor, min(length, 1 << 30), start)):
            parts.append(part)
            start, length = start + len(part), length - len(part)
        if length > 0:
            raise WireError("the file became shorter")
        return b"".join(parts)


Buffer = bytes | FileBytes


class Field(NamedTuple):
    """One field of a message.

    Attributes:
        number: which field.
        kind: its wire type.
        start: of the field, its tag included.
        value: where its content starts, behind tag and length.
        end: behind its content.
    """

    number: int
    kind: int
    start: int
    value: int
    end: int


def fields(data: Buffer, start: int, end: int) -> Iterator[Field]:
    """The fields of the message in ``data[start:end]``, in the order in which they stand.

    Raises:
        WireError: at the first field that isn't one, and after one that reaches beyond ``end``.
    """
    at, end = start, min(end, len(data))
    while at < end:
        tag, behind = varint(data, at, end)
        number, kind = tag >> 3, tag & 7
        if not number:
            raise WireError("field 0")
        if kind == VARINT:
            value, behind = behind, varint(data, behind, end)[1]
        elif kind == LENGTH:
            length, value = varint(data, behind, end)
            behind = value + length
        elif kind in _FIXED:
            value, behind = behind, behind + _FIXED[kind]
        else:
            raise WireError(f"wire type {kind}")
        yield Field(number, kind, at, value, behind)
        if behind > end:
            raise WireError("cut")
        at = behind


def varint(data: Buffer, at: int, end: int) -> tuple[int, int]:
    """(number, where the next thing starts).

    Raises:
        WireError: it does not end.
    """
    result = shift = 0
    for place in range(at, min(end, at + _LONGEST_VARINT)):
        byte = data[place]
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, place + 1
        shift += 7
    raise WireError("number without an end")


def head(number: int, length: int) -> bytes:
    """Tag and length of a field that holds so many bytes."""
    return varint_bytes(number << 3 | LENGTH) + varint_bytes(length)


def field_bytes(number: int, content: bytes) -> bytes:
    """A whole field: tag, length, content."""
    return head(number, len(content)) + content
