"""What to say about a path that no format claims: by its first bytes, what it probably is."""

from __future__ import annotations

import contextlib
import difflib
import stat
from pathlib import Path

from kmr_cli.errors import ModelFileError
from kmr_cli.formats import all_formats
from kmr_cli.formats.common.archives import zip_names
from kmr_cli.formats.common.pointers import DOWNLOAD, pointer
from kmr_cli.formats.interface import optional
from kmr_cli.formats.words import known_files

_LOOKED_AT = 500
"""Entries of a folder among which models are looked for."""
_LISTED = 8


def refuse_missing(path: Path) -> None:
    """Refuse what is not there, or is neither a regular file nor a directory (a FIFO hangs every loader).

    Raises:
        ModelFileError: with the nearest name in the same folder, if there is one.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such file or directory", _nearest(path)) from None
    except (OSError, ValueError) as exc:  # ValueError: a NUL byte in the name
        raise ModelFileError(f"{path}: {getattr(exc, 'strerror', None) or exc}") from exc
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ModelFileError(f"{path}: neither a regular file nor a directory", f"give {known_files()}")
    if stat.S_ISREG(mode):
        try:
            with path.open("rb"):
                pass
        except OSError as exc:
            raise ModelFileError(f"{path}: cannot be read ({exc.strerror})") from exc


def diagnose(path: Path) -> ModelFileError:
    """The error for an existing path that no format claims: formats say first what they know of their own world."""
    if path.is_file() and path.stat().st_size == 0:
        return ModelFileError(f"{path}: the file is empty", "copy or save the model again")
    known = pointer(path) if path.is_file() else None
    if known is not None:
        return ModelFileError(f"{path}: {known}", DOWNLOAD)
    inside = _models_in(path) if path.is_dir() else []
    if any((path / name).is_file() for name in inside):
        return _folder(path, inside)
    for format_ in all_formats():
        explain = optional(format_, "explain")
        error: ModelFileError | None = explain(path) if explain is not None else None
        if error is not None:
            return error
    if path.is_dir():
        return _folder(path, inside)
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"PK"):
        return _zip(path)
    if head.startswith(b"\x93NUMPY"):
        return ModelFileError(f"{path}: a NumPy array, not a model", "give arrays with --input")
    what = f"{path.suffix or 'no suffix'}, unknown content"
    return ModelFileError(f"{path}: not a model file ({what})", f"give {known_files()}")


def _folder(path: Path, inside: list[str]) -> ModelFileError:
    """A folder that isn't a model, and what is in it that is one."""
    if not inside:
        return ModelFileError(f"{path}: a directory, but not a model", f"give {known_files()}")
    listed = ", ".join(inside[:_LISTED]) + (f", … ({len(inside)} in all)" if len(inside) > _LISTED else "")
    what = "one model, and isn't one itself" if len(inside) == 1 else "models, and isn't one itself"
    return ModelFileError(f"{path}: a directory that holds {what}: {listed}", f"give one of them: {path / inside[0]}")


def _models_in(path: Path) -> list[str]:
    """Names of the models in a folder, as far as it is looked through."""
    found = []
    try:
        entries = sorted(path.iterdir())[:_LOOKED_AT]
    except OSError:
        return []
    for entry in entries:
        with contextlib.suppress(Exception):  # whatever is wrong with one says nothing of the others
            mode = entry.stat().st_mode
            if (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and any(one.matches(entry) for one in all_formats()):
                found.append(entry.name)
    return found


def _zip(path: Path) -> ModelFileError:
    names = zip_names(path)
    if names is None:
        return ModelFileError(
            f"{path}: the archive is cut short or damaged (its table of contents cannot be read)",
            "copy or save the model again",
        )
    if names and all(name.endswith(".npy") for name in names):
        return ModelFileError(f"{path}: NumPy arrays, not a model", "give arrays with --input")
    return ModelFileError(f"{path}: a zip archive, but not a model file", f"give {known_files()}")


def _nearest(path: Path) -> str | None:
    if any(character in path.name for character in "*?["):
        return "no file matches this pattern: the shell hands it on as it stands"
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return None
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f"did you mean {path.parent / near[0]}?" if near else None
