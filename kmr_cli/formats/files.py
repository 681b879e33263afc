"""The files that a model is made of, and whether they are still the ones that were looked at."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from kmr_cli.errors import ModelFileError

_LARGE = 1 << 30
_LEAST_STORED = 100
"""How many times smaller than a file what is stored of it may be, where the file system compresses."""


def inside(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file in a folder and those below it, links followed, but none of them twice."""
    seen = set()
    for here, below, names in os.walk(folder, followlinks=True):
        true = os.path.realpath(here)
        if true in seen:
            below.clear()
            continue
        seen.add(true)
        for name in names:
            path = Path(here, name)
            yield path.relative_to(folder).as_posix(), path


def homes(folder: Path) -> list[Path]:
    """Where the files of a model in a folder may lie: there, and where the cache of Hugging Face keeps what it links.

    It has a folder ``models--…`` for each model, in which the names of files are links into ``blobs``.
    """
    home = folder.resolve()
    return [home, *(one / "blobs" for one in home.parents if one.name.startswith("models--"))]


class Seen:
    """The files of a model as they are at this moment: what is scanned must be what is loaded, and what is judged.

    Told by size, times and place on the disk, which no program can put back: a digest would read all weights twice.

    Args:
        path: of the model, a file or a folder.
        beside: names of files beside it that belong to it.

    Raises:
        ModelFileError: one of them is a pipe or a device, or little more than a hole.
    """

    def __init__(self, path: Path, beside: Iterable[str] = ()) -> None:
        self._path, self._beside = path, tuple(beside)
        files = self._files()
        for name, one in files.items():
            _refuse_endless(one, str(path) if one == path else f"{path}: {name}")
        self._marks = _marks(files)

    def refuse_changed(self) -> None:
        """Raise where anything is different by now.

        Raises:
            ModelFileError: that.
        """
        now = _marks(self._files())
        if now == self._marks:
            return
        changed = sorted(name for name in now.keys() | self._marks.keys() if now.get(name) != self._marks.get(name))
        which = "" if changed == [self._path.name] else f" ({changed[0]!r})"
        raise ModelFileError(
            f"{self._path.name}: the file changed while it was read{which}", "run it again once nobody writes to it"
        )

    def _files(self) -> dict[str, Path]:
        if self._path.is_dir():
            return dict(inside(self._path))
        return {self._path.name: self._path, **{name: self._path.parent / name for name in self._beside}}


def _marks(files: Mapping[str, Path]) -> dict[str, tuple[int, ...] | None]:
    return {name: _mark(path) for name, path in files.items()}


def _mark(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _refuse_endless(path: Path, shown: str) -> None:
    """Refuse a pipe, a device, and a large file that takes next to nothing on the disk: reading them takes for ever."""
    try:
        found = path.stat()
    except OSError:
        return
    if not stat.S_ISREG(found.st_mode):
        raise ModelFileError(f"{shown}: neither a regular file nor a directory", "copy or save the model again")
    stored = found.st_blocks * 512  # some file systems say 0 of every file
    if found.st_size > _LARGE and 0 < stored < found.st_size // _LEAST_STORED:
        raise ModelFileError(
            f"{shown}: it claims {found.st_size:,} bytes and takes {stored:,} on the disk: the rest is a hole",
            "copy or save the model again",
        )
