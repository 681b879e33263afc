"""Changes to the bytes of real files: what transport, disks and people who look for holes do to them."""

from __future__ import annotations

import io
import random
import shutil
import struct
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from bad_files import SAMPLES, structures

SOURCES = {
    "keras": ("digits.keras", "recommender.keras", "transformer.keras"),
    "h5": ("digits.h5", "recommender.h5"),
    "savedmodel": ("digits_savedmodel", "recommender_savedmodel"),
    "torchscript": ("windows.pt", "digits_traced.pt", "recommender.pt"),
    "pt2": ("digits.pt2",),
    "onnx": ("digits.onnx",),
    "pickle": ("windows.pt",),
}
"""What is changed, by the reader that it is for."""
_HUGE = (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF, 1 << 40, 1 << 20)
_SMALL = 1 << 16
"""Bytes from which on the beginning and the end are changed more often than the middle, which is weights."""


def write(kind: str, seed: int, folder: Path) -> Path:
    """A changed copy of a real file; the same for the same seed."""
    chance = random.Random(f"{kind} {seed}")
    if kind in structures.WRITERS:
        return structures.WRITERS[kind](folder, chance)
    source = SAMPLES / chance.choice(SOURCES[kind])
    path = folder / source.name
    if kind == "savedmodel":
        shutil.copytree(source, path)
        name = chance.choice(("saved_model.pb",) * 8 + ("variables/variables.index", "fingerprint.pb"))
        (path / name).write_bytes(changed(_bytes(source / name), chance))
    elif kind == "pickle":
        path = folder / "model.pkl"
        path.write_bytes(changed(_members(source)["windows/data.pkl"], chance))
    elif zipfile.is_zipfile(source) and chance.random() < 0.7:
        path.write_bytes(_with_changed_member(_members(source), chance))
    else:
        path.write_bytes(changed(_bytes(source), chance))
    return path


def changed(data: bytes, chance: random.Random) -> bytes:
    """The bytes with one to three changes."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        data = chance.choice(_CHANGES)(data, chance)
    return data


@cache
def _bytes(path: Path) -> bytes:
    return path.read_bytes()


@cache
def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _with_changed_member(members: dict[str, bytes], chance: random.Random) -> bytes:
    """The archive packed again, so that its checksums fit."""
    told = [name for name in members if not name.rpartition("/")[2].isdigit() and "debug_pkl" not in name]
    which = chance.choice(told)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, data in members.items():
            archive.writestr(name, changed(data, chance) if name == which else data)
    return written.getvalue()


def _place(data: bytes, chance: random.Random) -> int:
    """Somewhere in it, headers and tables at both ends above all."""
    size = len(data)
    if size > _SMALL and chance.random() < 0.7:
        near = chance.randrange(_SMALL // 4)
        return near if chance.random() < 0.5 else size - 1 - near
    return chance.randrange(max(1, size))


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: _place(data, chance)]


def _flip(data: bytes, chance: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        if out:
            out[_place(data, chance)] ^= 1 << chance.randrange(8)
    return bytes(out)


def _other_bytes(data: bytes, chance: random.Random) -> bytes:
    at = _place(data, chance)
    return data[:at] + chance.randbytes(chance.choice((1, 2, 4, 16))) + data[at + 1 :]


def _zeros(data: bytes, chance: random.Random) -> bytes:
    at, count = _place(data, chance), chance.choice((1, 2, 2, 4, 8, 64, 512))
    return data[:at] + bytes(len(data[at : at + count])) + data[at + count :]


def _splice(data: bytes, chance: random.Random) -> bytes:
    """A piece of it in another place, put in or written over what is there."""
    start, at, size = _place(data, chance), _place(data, chance), chance.choice((1, 8, 64, 1024, 65536))
    piece = data[start : start + size]
    return data[:at] + piece + data[at + (len(piece) if chance.random() < 0.5 else 0) :]


def _leave_out(data: bytes, chance: random.Random) -> bytes:
    at = _place(data, chance)
    return data[:at] + data[at + chance.choice((1, 2, 8, 64, 1024)) :]


def _inflate(data: bytes, chance: random.Random) -> bytes:
    """A number that is too large in the place of some bytes: as a length, an offset, a count would be."""
    at = _place(data, chance)
    form = chance.choice(("<H", "<I", "<I", "<Q", ">I"))
    number = struct.pack(form, chance.choice(_HUGE) & ((1 << 8 * struct.calcsize(form)) - 1))
    at -= at % chance.choice((1, len(number)))
    return data[:at] + number + data[at + len(number) :]


def _varint(data: bytes, chance: random.Random) -> bytes:
    """The same in the form of protocol buffers."""
    at = _place(data, chance)
    return (
        data[:at]
        + chance.choice((b"\xff\xff\xff\xff\x0f", b"\xff" * 9 + b"\x01", b"\x80\x80\x80\x04"))
        + data[at + 1 :]
    )


def _digits(data: bytes, chance: random.Random) -> bytes:
    """The same as text: of JSON and code."""
    at = next((place for place in range(_place(data, chance), len(data)) if data[place : place + 1].isdigit()), None)
    if at is None:
        return _flip(data, chance)
    return data[:at] + chance.choice((b"9" * 30, b"-1", b"1e400", b"0", b"null", b'"x"', b"[]", b"{}")) + data[at + 1 :]


_CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _cut, _flip, _flip, _other_bytes, _zeros, _zeros, _splice, _splice, _leave_out, _inflate, _inflate, _varint,
    _digits,
)  # fmt: skip
