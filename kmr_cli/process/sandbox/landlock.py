"""Landlock (Linux 5.13 and later): which files this process may open from now on. Through ctypes: no library has it.

The numbers are the kernel's interface (``include/uapi/linux/landlock.h``), the same on every processor.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
import sys
from collections.abc import Iterable
from functools import cache

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE, _IOCTL = 1 << 13, 1 << 14, 1 << 15
_FIRST = (1 << 13) - 1
"""All that the first version knows: the above, removing, and making files of every kind."""
_TCP = 0b11
_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
"""Rights that make sense for something other than a folder."""
_NO_NEW_PRIVILEGES = 38


@cache
def version() -> int:
    """Which version of it the kernel has; 0 where it has none, or has it switched off."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, int(_libc().syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))))


def restrict(readable: Iterable[str], writable: Iterable[str], devices: Iterable[str]) -> None:
    """Let this thread, and what it starts, open nothing but these places and what is below them.

    Where the kernel can: no TCP, no signals to processes outside, no abstract sockets.

    Args:
        readable: files and folders; what is not there is left out.
        writable: folders in which everything may be done.
        devices: files that are read, written and controlled.

    Raises:
        OSError: the kernel refuses.
    """
    files = _FIRST | _add(2, _REFER) | _add(3, _TRUNCATE) | _add(5, _IOCTL)
    attributes = struct.pack("=QQQ", files, _add(4, _TCP), _add(6, _ABSTRACT_SOCKETS_AND_SIGNALS))
    size = 24 if version() >= 6 else 16 if version() >= 4 else 8
    ruleset = _call(_CREATE, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        for places, rights in (
            (readable, _READ_FILE | _READ_DIR | _EXECUTE),
            (writable, files & ~_EXECUTE & ~_IOCTL),
            (devices, _READ_FILE | _WRITE_FILE | _READ_DIR | _add(5, _IOCTL)),
        ):
            for place in dict.fromkeys(places):
                _allow(ruleset, place, rights & files)
        if _libc().prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "no_new_privs")
        _call(_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _add(since: int, rights: int) -> int:
    return rights if version() >= since else 0


def _allow(ruleset: int, place: str, rights: int) -> None:
    with contextlib.suppress(FileNotFoundError, PermissionError, NotADirectoryError):
        at = os.open(place, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(at).st_mode):
                rights &= _OF_FILES
            rule = struct.pack("=Qi", rights, at)
            _call(_ADD, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0))
        finally:
            os.close(at)


def _call(number: int, *arguments: object) -> int:
    answer = int(_libc().syscall(number, *arguments))
    if answer < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return answer


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
