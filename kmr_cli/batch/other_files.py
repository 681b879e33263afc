"""What is given in place of a file of data: told by its first bytes, with what to type to get an array out of it."""

from __future__ import annotations

import shlex
import stat
from pathlib import Path
from typing import NamedTuple

from kmr_cli.batch.files import IMAGES
from kmr_cli.errors import BatchError
from kmr_cli.formats.common.pointers import DOWNLOAD, pointer

HEAD = 132
"""Bytes of a file that tell what it is."""


class _Kind(NamedTuple):
    what: str
    reader: str
    """A Python expression that gives the array; ``{file}`` stands for the file's name as a literal."""


_TORCH = "torch.load({file}).numpy()"
_GZIP = _Kind("a file that gzip compressed", "")
_BEGINNINGS = {
    b"MATLAB": _Kind("a MATLAB file", "scipy.io.loadmat({file})[KEY]"),
    b"%PDF": _Kind("a PDF", ""),
    b"\x1f\x8b": _GZIP,
}
_TEXT = _Kind("text", "numpy.loadtxt({file}, ndmin=2, dtype='float32')")
_NO_TEXT = frozenset({*IMAGES, ".npy", ".npz", ".h5", ".hdf5", ".parquet"})
KINDS = ".npy, .npz, .csv, .json, .jsonl, .h5, .parquet, .safetensors, or images"
"""What is read, for people."""


def refuse_no_file(path: Path) -> None:
    """Refuse what is there and neither a regular file nor a folder, before it is opened: a pipe would never end.

    Raises:
        BatchError: that.
    """
    try:
        mode = path.stat().st_mode
    except OSError:  # told when it is opened
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        what = "a pipe" if stat.S_ISFIFO(mode) else "a device" if stat.S_ISCHR(mode) else "no regular file"
        raise BatchError(f"{path}: {what}, not a file of data", "write the array to a file, and give that")


def refuse_others(path: Path, head: bytes) -> None:
    """Refuse what no reader is for; an empty file is left to one.

    Args:
        path: the file.
        head: its first :data:`HEAD` bytes.

    Raises:
        BatchError: that, with what to type.
    """
    if not head:
        return
    known = pointer(path)
    if known is not None:
        raise BatchError(f"{path}: {known}", DOWNLOAD)
    kind = _kind(head)
    if kind is None:
        raise BatchError(
            f"{path}: not a file of data ({KINDS})",
            "read it in Python, and write the array with numpy.save or numpy.savez",
        )
    if kind is _TEXT and path.suffix.lower() in _NO_TEXT:  # a page that tells of an error, often
        line = head.decode("utf-8", errors="replace").strip().splitlines()[:1] or [""]
        raise BatchError(
            f"{path}: text, in spite of its suffix; it begins with {line[0][:40]!r}", "download or write it again"
        )
    raise _instead(path, kind)


def other_archive(path: Path, names: list[str]) -> BatchError | None:
    """The error for a zip archive that was not written by ``numpy.savez``; None where it was.

    Args:
        path: the archive.
        names: of its members.
    """
    if all(name.endswith(".npy") for name in names):
        return None
    if any(name.endswith("data.pkl") for name in names):
        return _instead(path, _Kind("what torch.save or torch.jit.save wrote", _TORCH))
    return _instead(path, _Kind("a zip archive of other files", ""))


def _instead(path: Path, kind: _Kind) -> BatchError:
    if kind.reader:
        place, file = str(path.with_suffix(".npy")), str(path)
        hint = f"write it as an array: numpy.save({place!r}, {kind.reader.format(file=repr(file))})"
    elif kind is _GZIP:
        hint = f"gunzip -k {shlex.quote(str(path))} unpacks it"
    else:
        hint = "read it in Python, and write the array with numpy.save or numpy.savez"
    return BatchError(f"{path}: {kind.what}, not a file of data ({KINDS})", hint)


def _kind(head: bytes) -> _Kind | None:
    for start, kind in _BEGINNINGS.items():
        if head.startswith(start):
            return kind
    if head.startswith(b"RIFF"):
        return _Kind("a WAV file", "scipy.io.wavfile.read({file})[1][None]") if head[8:12] == b"WAVE" else None
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return _Kind("a pickle", "numpy.load({file}, allow_pickle=True)")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or (b"\0" not in head and not _controls(head)):
        return _TEXT
    return None


def _controls(head: bytes) -> bool:
    """Whether there are characters that no text has."""
    return any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
