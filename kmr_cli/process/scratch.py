"""Folders for what a run leaves on disk: each is gone with what it was for, or swept up by a later run.

A child that is killed cannot tidy up, and a parent that is killed cannot either. So the name of a folder tells whose
it is, ``kmr-inspect-PID-NAMESPACE-BOOT-…``, and every run removes those whose process is gone. Numbers of processes
are of one start of one machine, and folders may be shared.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import tempfile
import weakref
import zlib
from functools import cache
from pathlib import Path

_FOLDER = re.compile(r"kmr-inspect-(?P<owner>[0-9a-f-]+)-[a-z0-9_]+")
TEMPORARY = re.compile(r"\..{1,20}\.(?P<owner>[0-9a-f-]+)\.[a-z0-9_]+\.tmp", re.DOTALL)
"""What is written beside the place where it will stand, by the name of that, cut to :data:`LONGEST` characters."""
LONGEST = 20
"""A name has at most 255 bytes."""
_OWNER = re.compile(r"(\d{1,9})-(\d+-[0-9a-f]+)")


class Scratch:
    """A private folder, removed by :meth:`remove`, with the object, or when this process ends.

    Attributes:
        path: of the folder.
    """

    def __init__(self) -> None:
        _sweep_once()
        self.path = Path(tempfile.mkdtemp(prefix=f"kmr-inspect-{owner()}-"))
        self._end = weakref.finalize(self, _remove, self.path, os.getpid())

    def remove(self) -> None:
        """Remove it with all that is in it; more than once does no harm."""
        self._end()


def beside(place: Path) -> tuple[str, str, Path]:
    """Prefix and suffix for a temporary file or folder of this process beside a place, and the folder that it is in."""
    return f".{place.name[:LONGEST]}.{owner()}.", ".tmp", place.parent


def owner() -> str:
    """What the name of a file or folder tells of the process that it belongs to, this one."""
    return f"{os.getpid()}-{_surroundings()}"


def remove_orphans(folder: Path, name: re.Pattern[str]) -> None:
    """Remove what processes of this user that are gone have left in a folder.

    Args:
        folder: where.
        name: of files and folders of this program, whole; its group ``owner`` is their :func:`owner`.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = name.fullmatch(entry.name)
            process = _OWNER.fullmatch(match["owner"]) if match else None
            if process is None or process[2] != _surroundings() or not _gone(int(process[1])):
                continue
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_uid != os.getuid():
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                elif entry.is_file(follow_symlinks=False):
                    os.unlink(entry.path)  # noqa: PTH108


@cache
def _sweep_once() -> None:
    remove_orphans(Path(tempfile.gettempdir()), _FOLDER)


@cache
def _surroundings() -> str:
    """What the numbers of processes are of: containers have their own, and so has every start of a machine."""
    try:
        namespace = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    except OSError:
        return f"0-{zlib.crc32(os.uname().nodename.encode()):x}"
    return f"{namespace}-{boot}"


def _gone(pid: int) -> bool:
    if sys.platform == "win32":  # there os.kill(pid, 0) sends Ctrl-C
        return False
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
