"""Writing a result to the place the user named: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from kmr_cli.errors import OutputError
from kmr_cli.process.scratch import TEMPORARY, beside, remove_orphans
from kmr_cli.process.writing import open_to_others, refuse_folder


def refuse_place(path: Path, *, overwrite: bool) -> None:
    """Refuse a place where nothing can be written, before any work is done for it.

    Raises:
        OutputError: it exists already, is a directory or a device, or its folder is missing or read-only.
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a directory", "give a file's name")
    if os.path.lexists(path) and not overwrite:  # a link to nothing is there too
        raise OutputError(f"{path}: exists already", "give another name, or --force to replace it")
    target = _target(path)
    if os.path.lexists(target) and not target.is_file():  # a device, a pipe, or a link to itself
        raise OutputError(f"{path}: isn't a regular file", "give another name")
    refuse_folder(path, target.parent)


def refuse_sources(place: Path, sources: Iterable[str | Path]) -> None:
    """Refuse a place that is, or lies inside, something that the command reads; no option may lift that.

    Args:
        place: where something is to be written.
        sources: models, snapshots and data; ``NAME=FILE`` is the file, and what does not exist is passed over.

    Raises:
        OutputError: the result would write over what it is the result of.
    """
    target = Path(os.path.realpath(place))
    for source in dict.fromkeys(map(str, sources)):
        for path in _files_named(source):
            if not path.name or not path.exists():
                continue
            if target == Path(os.path.realpath(path)) or (target.exists() and target.samefile(path)):
                what = "is the model itself, or what it is run on or compared with"
                raise OutputError(f"{place}: {what}", "give another name")
            if Path(os.path.realpath(path)) in target.parents:
                raise OutputError(f"{place}: lies inside {source}, which is read", "give another place")


def _files_named(source: str) -> Iterator[Path]:
    """What ``FILE``, ``NAME=FILE`` and ``FILE:KEY`` may name."""
    yield Path(source)
    yield Path(source.partition("=")[2])
    if ":" in source:
        from kmr_cli.batch.files.source import file_of

        yield Path(file_of(source))
        yield Path(file_of(source.partition("=")[2]))


def _target(path: Path) -> Path:
    """The file that a path leads to: links are written through, not replaced."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def write_whole(path: Path, write: Callable[[Path], None], *, overwrite: bool) -> None:
    """Have ``write`` fill a temporary file beside ``path``, then move it into place.

    An interruption at any moment leaves the old file or the new one, never half of one. What a run that was killed has
    left beside it is removed. A link stays, and the file that it leads to is replaced.

    Args:
        path: the final place.
        write: receives the temporary path and writes the whole content there.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: the system refused (full disk, no permission), or the place was taken meanwhile.
    """
    refuse_place(path, overwrite=overwrite)
    target = _target(path)
    temporary: Path | None = None
    try:
        remove_orphans(target.parent, TEMPORARY)
        prefix, suffix, folder = beside(target)
        handle, name = tempfile.mkstemp(suffix, prefix, folder)
        temporary = Path(name)
        os.close(handle)
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        open_to_others(temporary)
        if overwrite:
            temporary.replace(target)
        else:
            os.link(temporary, target)  # unlike rename, refuses a file that appeared in the meantime
    except FileExistsError:
        raise OutputError(f"{path}: exists already", "give another name, or --force to replace it") from None
    except OSError as exc:
        raise OutputError(f"{path}: cannot be written ({exc.strerror or exc})") from exc
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
