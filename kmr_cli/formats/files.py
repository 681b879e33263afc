"""The files that a model is made of, and whether they are still the ones that were looked at."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from kmr_cli.errors import ModelFileError


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


class Seen:
    """The files of a model as they are at this moment: what is scanned must be what is loaded, and what is judged.

    Told by size, times and place on the disk, which no program can put back: a digest would read all weights twice.

    Args:
        path: of the model, a file or a folder.
        beside: names of files beside it that belong to it.
    """

    def __init__(self, path: Path, beside: Iterable[str] = ()) -> None:
        self._path, self._beside = path, tuple(beside)
        self._marks = self._now()

    def refuse_changed(self) -> None:
        """Raise where anything is different by now.

        Raises:
            ModelFileError: that.
        """
        now = self._now()
        if now == self._marks:
            return
        changed = sorted(name for name in now.keys() | self._marks.keys() if now.get(name) != self._marks.get(name))
        which = "" if changed == [self._path.name] else f" ({changed[0]!r})"
        raise ModelFileError(
            f"{self._path.name}: the file changed while it was read{which}", "run it again once nobody writes to it"
        )

    def _now(self) -> dict[str, tuple[int, ...] | None]:
        if self._path.is_dir():
            return {name: _mark(path) for name, path in inside(self._path)}
        files = {self._path.name: self._path, **{name: self._path.parent / name for name in self._beside}}
        return {name: _mark(path) for name, path in files.items()}


def _mark(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
