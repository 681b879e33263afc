"""Writing a result to the place the user named: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from kmr_cli.errors import OutputError


def refuse_place(path: Path, *, overwrite: bool) -> None:
    """Refuse a place where nothing can be written, before any work is done for it.

    Raises:
        OutputError: it exists already, is a directory, or its folder is missing or read-only.
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a directory", "give a file's name")
    if os.path.lexists(path) and not overwrite:  # a link to nothing is there too
        raise OutputError(f"{path}: exists already", "give another name, or --force to replace it")
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(f"{path}: there is no folder {folder}", f"make it first: mkdir -p {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: the folder {folder} cannot be written to")


def write_whole(path: Path, write: Callable[[Path], None], *, overwrite: bool) -> None:
    """Have ``write`` fill a temporary file beside ``path``, then move it into place.

    An interruption at any moment leaves the old file or the new one, never half of one.

    Args:
        path: the final place.
        write: receives the temporary path and writes the whole content there.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputError: the system refused (full disk, no permission), or the place was taken meanwhile.
    """
    refuse_place(path, overwrite=overwrite)
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent)
        temporary = Path(name)
        os.close(handle)
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        if overwrite:
            temporary.replace(path)
        else:
            os.link(temporary, path)  # unlike rename, refuses a file that appeared in the meantime
    except FileExistsError:
        raise OutputError(f"{path}: exists already", "give another name, or --force to replace it") from None
    except OSError as exc:
        raise OutputError(f"{path}: cannot be written ({exc.strerror or exc})") from exc
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
