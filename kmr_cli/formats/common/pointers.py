"""Git LFS pointers: three lines of text that stand where a large file belongs, until it is downloaded."""

from __future__ import annotations

import re
from pathlib import Path

_STARTS = (b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/")
_SIZE = re.compile(rb"^size (\d{1,18})$", re.MULTILINE)
_LARGEST = 1024
"""Bytes of the longest pointer that Git LFS reads."""
DOWNLOAD = "download it: run `git lfs pull` in its repository"


def pointer(path: Path) -> str | None:
    """What a file is, if it is a pointer: ``a Git LFS pointer, not the file itself (12,345 bytes)``; else None."""
    try:
        with path.open("rb") as file:
            return pointer_in(file.read(_LARGEST + 1))
    except (OSError, ValueError):
        return None


def pointer_in(data: bytes) -> str | None:
    """The same of a file's content."""
    if len(data) > _LARGEST or not data.startswith(_STARTS):
        return None
    size = _SIZE.search(data)
    behind = f" ({int(size[1]):,} bytes)" if size else ""
    return f"a Git LFS pointer, not the file itself{behind}"
