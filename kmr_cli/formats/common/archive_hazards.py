"""What is wrong with a zip archive as a container, whatever model it holds. Only its table of contents is read."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

from kmr_cli.errors import ModelFileError
from kmr_cli.records import Hazard

MOST_MEMBERS = 1 << 18
MOST_EXPANSION = 200
"""Weights hardly compress; text does, by less than this."""
_SMALL = 1 << 18
"""Bytes that a member may unpack to, however few it takes in the archive."""
_TEXTS = (".py", ".pkl", ".pickle", ".json")
_MOST_TEXT = 1 << 24
"""Bytes that all members with text and structure may unpack to, however few they take."""
_TEXT_EXPANSION = 20
"""That of code is 3, that of what torch exports 1, since it stores it."""
_END, _LOCATOR, _LARGE_END = struct.Struct("<4s4H2LH"), struct.Struct("<4sLQL"), struct.Struct("<4sQ2H2L4Q")
"""The record that ends a zip archive, which a comment may follow; before it, in large archives, where their own is."""
_OTHER_NAME = 0x7075
"""Of a field with a member's name once more, in Unicode, which some readers prefer."""


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """An archive to be looked into.

    Raises:
        ModelFileError: it, or what is read of it meanwhile, is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as exc:
        raise ModelFileError(f"{path.name}: the archive is damaged ({exc})", "copy or save the file again") from exc


def scan(path: Path, *, expected: Callable[[str], bool] | None = None, any_case: bool = False) -> Iterator[Hazard]:
    """Names that lead out of the archive or stand in it twice, links, bytes before and after it, absurd sizes.

    Args:
        path: the archive.
        expected: whether a member is one that the framework writes; None where any is.
        any_case: the framework finds members under names in capital letters, too.

    Raises:
        ModelFileError: its table of contents cannot be read.
    """
    with opened(path) as archive:
        infos, comment = archive.infolist(), archive.comment
    if len(infos) > MOST_MEMBERS:
        yield Hazard("exhaustion", path.name, f"the archive has {len(infos):,} members")
        return
    if infos and min(info.header_offset for info in infos) > 0:
        yield Hazard("container", path.name, "something stands before the archive: another program may read that")
    if comment or _beyond(path):
        yield Hazard("container", path.name, "something stands behind the archive: another program may read that")
    elif infos and _contradicts_itself(path, len(infos)):
        yield Hazard(
            "container", path.name, "the archive tells of its contents in two ways: readers choose differently"
        )
    refuse_bomb(infos, path.name)
    for name, times in Counter(info.filename.lower() if any_case else info.filename for info in infos).items():
        if times > 1:
            yield Hazard("container", name, f"the archive holds this member {times} times: readers choose differently")
    for info in infos:
        yield from _member(info, expected)


def _member(info: zipfile.ZipInfo, expected: Callable[[str], bool] | None) -> Iterator[Hazard]:
    name = info.filename
    if not _stays_inside(name):
        yield Hazard("container", name, "a member whose name leads out of the archive when it is unpacked")
    elif stat.S_ISLNK(info.external_attr >> 16):
        yield Hazard("container", name, "a member that is a link to another file")
    elif expected is not None and not info.is_dir() and not expected(name):
        yield Hazard("container", name, "a member that the framework does not write")
    if _has_other_name(info):
        yield Hazard("container", name, "a member with a second name: readers choose differently")
    if is_inflated(info):
        yield Hazard(
            "exhaustion", name, f"{info.compress_size:,} bytes in the archive claim to unpack to {info.file_size:,}"
        )


def is_inflated(info: zipfile.ZipInfo) -> bool:
    """Whether a member claims to unpack to more than anything that a model holds: it is told of, and not read."""
    return info.file_size > MOST_EXPANSION * info.compress_size + _SMALL


def refuse_bomb(infos: Iterable[zipfile.ZipInfo], name: str) -> None:
    """Refuse an archive whose members together unpack to far more than they take, each of them being small.

    Args:
        infos: of all members.
        name: of the archive, for people.

    Raises:
        ModelFileError: that.
    """
    texts = [info for info in infos if info.filename.lower().endswith(_TEXTS) and not is_inflated(info)]
    taken, claimed = sum(info.compress_size for info in texts), sum(info.file_size for info in texts)
    if claimed > _TEXT_EXPANSION * taken + _MOST_TEXT:
        raise ModelFileError(
            f"{name}: {len(texts):,} members of {taken:,} bytes claim to unpack to {claimed:,}, as no model's do",
            "copy or save the model again",
        )


def _stays_inside(name: str) -> bool:
    if not name or "\0" in name or "\\" in name or name.startswith("/") or PureWindowsPath(name).drive:
        return False
    return ".." not in PurePosixPath(name).parts


def _beyond(path: Path) -> bool:
    """Whether the file goes on after the archive's end; one with a comment is not asked about."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _END.size))
        return not file.read(4).startswith(b"PK\x05\x06")


def _contradicts_itself(path: Path, members: int) -> bool:
    """Whether the table of contents isn't where the archive's end says, which some readers believe and others don't.

    Args:
        path: of an archive with nothing behind it.
        members: those that Python found.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        file.seek(max(0, size - _END.size - _LOCATOR.size - _LARGE_END.size))
        tail = file.read()
    _, disk, table_disk, here, total, length, offset, _ = _END.unpack(tail[-_END.size :])
    end = size - _END.size
    locator = tail[-_END.size - _LOCATOR.size : -_END.size]
    if locator.startswith(b"PK\x06\x07"):
        end -= _LOCATOR.size + _LARGE_END.size
        if len(tail) < _END.size + _LOCATOR.size + _LARGE_END.size or _LOCATOR.unpack(locator)[2] != end:
            return True
        large = _LARGE_END.unpack(tail[: _LARGE_END.size])
        left_open = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
        told = zip((here, total, length, offset), large[-4:], left_open, strict=True)
        if large[0] != b"PK\x06\x06" or any(small not in (true, most) for small, true, most in told):
            return True
        here, total, length, offset = large[-4:]
    return bool(disk or table_disk) or here != total or total != members or offset + length != end


def _has_other_name(info: zipfile.ZipInfo) -> bool:
    extra = info.extra
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == _OTHER_NAME:
            return True
        extra = extra[4 + length :]
    return False
