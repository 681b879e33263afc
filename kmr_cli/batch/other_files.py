"""What is given in place of an array file: told by its first bytes, with what to type to get an array out of it."""

from __future__ import annotations

import shlex
import stat
from pathlib import Path
from typing import NamedTuple

from kmr_cli.errors import BatchError

HEAD = 132
"""Bytes of a file that tell what it is."""
_ARRAYS = (b"\x93NUMPY", b"PK")


class _Kind(NamedTuple):
    what: str
    reader: str
    """A Python expression that gives the array; ``{file}`` stands for the file's name as a literal."""


_PICTURE = "numpy.stack([PIL.Image.open({file})])"
_TORCH = "torch.load({file}).numpy()"
_GZIP = _Kind("a file that gzip compressed", "")
_BEGINNINGS = {
    b"\x89PNG": _Kind("a PNG image", _PICTURE),
    b"\xff\xd8\xff": _Kind("a JPEG image", _PICTURE),
    b"GIF8": _Kind("a GIF image", _PICTURE),
    b"BM": _Kind("a BMP image", _PICTURE),
    b"II*\0": _Kind("a TIFF image", _PICTURE),
    b"MM\0*": _Kind("a TIFF image", _PICTURE),
    b"\x89HDF": _Kind("an HDF5 file", "h5py.File({file})[KEY][:]"),
    b"PAR1": _Kind("a Parquet file", "pandas.read_parquet({file}).to_numpy()"),
    b"MATLAB": _Kind("a MATLAB file", "scipy.io.loadmat({file})[KEY]"),
    b"%PDF": _Kind("a PDF", ""),
    b"\x1f\x8b": _GZIP,
}
_SUFFIXES = {
    ".csv": _Kind("a CSV file", "numpy.loadtxt({file}, delimiter=',', ndmin=2, dtype='float32')"),
    ".tsv": _Kind("a TSV file", "numpy.loadtxt({file}, delimiter='\\t', ndmin=2, dtype='float32')"),
    ".json": _Kind("a JSON file", "json.loads(pathlib.Path({file}).read_text())"),
    ".jsonl": _Kind("a JSONL file", "[json.loads(line) for line in pathlib.Path({file}).read_text().splitlines()]"),
    ".txt": _Kind("a text file", "numpy.loadtxt({file}, ndmin=2, dtype='float32')"),
}
_TEXT = _Kind("text", "numpy.loadtxt({file}, ndmin=2, dtype='float32')")


def refuse_no_file(path: Path) -> None:
    """Refuse what is there and no regular file, before it is opened: a pipe would never end.

    Raises:
        BatchError: that.
    """
    try:
        mode = path.stat().st_mode
    except OSError:  # told when it is opened
        return
    if stat.S_ISDIR(mode):
        raise BatchError(f"{path}: a folder, not a .npy or .npz file", "give --input NAME=FILE.npy for each input")
    if not stat.S_ISREG(mode):
        what = "a pipe" if stat.S_ISFIFO(mode) else "a device" if stat.S_ISCHR(mode) else "no regular file"
        raise BatchError(f"{path}: {what}, not a .npy or .npz file", "write the array to a file, and give that")


def refuse_others(path: Path, head: bytes) -> None:
    """Refuse what neither is nor was an array file.

    Args:
        path: the file.
        head: its first :data:`HEAD` bytes.

    Raises:
        BatchError: that, with what to type.
    """
    if not head or any(head.startswith(start[: len(head)]) for start in _ARRAYS):
        return
    kind = _kind(path, head)
    if kind is None:
        raise BatchError(
            f"{path}: not a .npy or .npz file",
            "read it in Python, and write the array with numpy.save or numpy.savez",
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
    return BatchError(f"{path}: {kind.what}, not a .npy or .npz file", hint)


def _kind(path: Path, head: bytes) -> _Kind | None:
    for start, kind in _BEGINNINGS.items():
        if head.startswith(start):
            return kind
    if head.startswith(b"RIFF"):
        sound = head[8:12] == b"WAVE"
        if sound:
            return _Kind("a WAV file", "scipy.io.wavfile.read({file})[1][None]")
        return _Kind("a WebP image", _PICTURE) if head[8:12] == b"WEBP" else None
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return _Kind("a pickle", "numpy.load({file}, allow_pickle=True)")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or (b"\0" not in head and not _controls(head)):
        suffix = path.suffix.lower()
        return _SUFFIXES.get(suffix, _TEXT)
    return None


def _controls(head: bytes) -> bool:
    """Whether there are characters that no text has."""
    return any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
