"""Folders for what a run leaves on disk: each is gone with what it was for, or swept up by a later run.

A child that is killed cannot tidy up, and a parent that is killed cannot either. So the name of a folder tells whose
it is, ``kmr-inspect-PID-NAMESPACE-…``, and every run removes those whose process is gone.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import weakref
from functools import cache
from pathlib import Path

_NAME = re.compile(r"kmr-inspect-(\d{1,9})-(\d+)-[a-z0-9_]+")


class Scratch:
    """A private folder, removed by :meth:`remove`, with the object, or when this process ends.

    Attributes:
        path: of the folder.
    """

    def __init__(self) -> None:
        _sweep_once()
        self.path = Path(tempfile.mkdtemp(prefix=f"kmr-inspect-{os.getpid()}-{_namespace()}-"))
        self._end = weakref.finalize(self, _remove, self.path, os.getpid())

    def remove(self) -> None:
        """Remove it with all that is in it; more than once does no harm."""
        self._end()


def sweep(folder: Path) -> None:
    """Remove what processes of this user that are gone have left in a folder for temporary files."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _NAME.fullmatch(entry.name)
            if match is None or int(match[2]) != _namespace() or not _gone(int(match[1])):
                continue
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_uid == os.getuid():
                    shutil.rmtree(entry.path, ignore_errors=True)


@cache
def _sweep_once() -> None:
    sweep(Path(tempfile.gettempdir()))


@cache
def _namespace() -> int:
    """What the process numbers are of: containers may share a folder, and not their processes."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116
    except OSError:
        return 0


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # not in a fork, which has a copy of the object
        shutil.rmtree(path, ignore_errors=True)
