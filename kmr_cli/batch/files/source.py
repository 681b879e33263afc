"""What an argument of ``--input`` names: a file, the input that it is for, and what is wanted of the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

from kmr_cli.batch.given_input import GivenInput, Made
from kmr_cli.batch.words import listed
from kmr_cli.errors import BatchError, MissingFrameworkError
from kmr_cli.formats.common.frameworks import require

EXTRA = "data"
"""The extra of this package that brings the libraries that read data."""
LIBRARIES = {"pyarrow": "pyarrow", "Pillow": "PIL", "safetensors": "safetensors"}
"""These, and the modules that they are imported as."""
MOST = 4 * 10**9
"""Bytes that are read of one file without being asked for some of its rows."""


class Source(NamedTuple):
    """One argument of ``--input``.

    Attributes:
        path: the file.
        name: of the input; None where nobody says.
        key: the array or the columns of the file; None for all.
    """

    path: Path
    name: str | None
    key: str | None

    def label(self, key: str) -> str:
        """An array or a column of the file, for messages."""
        return f"{self.path}:{key}"

    def choose(self, keys: Sequence[str], what: str) -> list[str]:
        """What is wanted of the arrays that a file holds: the one that is asked for, else all.

        Args:
            keys: what there is.
            what: what these are: ``dataset``.

        Raises:
            BatchError: there is nothing, or not that.
        """
        if not keys:
            raise BatchError(f"{self.path}: holds no {what}s")
        if self.key is not None:
            if self.key not in keys:
                raise BatchError(f"{self.path}: holds no {what} {self.key!r}", f"it holds {some(keys)}")
            return [self.key]
        if self.name is None or len(keys) == 1:
            return list(keys)
        if self.name not in keys:
            raise BatchError(
                f"{self.path}: holds {some(keys)}, not one {what} for {self.name!r}",
                f"give --input {self.name}={self.path}:{keys[0]}, or another of these",
            )
        return [self.name]

    def inputs(self, keys: Sequence[str], value: Callable[[str], np.ndarray | Made]) -> list[GivenInput]:
        """These arrays of the file, each for the input of its name, or of the one that the argument names.

        Args:
            keys: as :meth:`choose` gives them.
            value: of an array, or what makes it.
        """
        several = len(keys) > 1
        return [GivenInput(self.name or key, self.label(key), value(key), container=several) for key in keys]


def split_argument(argument: str) -> tuple[str, str]:
    """``FILE`` or ``NAME=FILE`` as (name, file); the name is empty where there is none."""
    name, equals, file = argument.partition("=")
    return (name, file) if equals and not Path(file_of(argument)).exists() else ("", argument)


def file_of(file: str) -> str:
    """``FILE`` of ``FILE``, ``FILE:KEY`` or ``FILE::KEY``."""
    return _split_key(file)[0]


def parse(argument: str) -> Source:
    """``[NAME=]FILE[:KEY]`` as a source.

    Raises:
        BatchError: no file is named, or nothing before the equals sign.
    """
    name, rest = split_argument(argument)
    if rest != argument and not name:
        raise BatchError(f"--input {argument}: no input is named", f"--input NAME={rest or 'FILE.npy'}")
    if not rest:
        raise BatchError(f"--input {argument}: no file is named", f"--input {name or 'NAME'}=FILE.npy")
    file, key = _split_key(rest)
    return Source(Path(file), name or None, key)


def _split_key(text: str) -> tuple[str, str | None]:
    if os.path.exists(text):  # noqa: PTH110  (a name of a file, whatever is in it)
        return text, None
    for separator in ("::", ":"):
        file, found, key = text.partition(separator)
        while found and not os.path.isfile(file):  # noqa: PTH113  (C:\data.npz, or a colon in the name of a folder)
            more, found, key = key.partition(separator)
            file = f"{file}{separator}{more}"
        if found and key:
            return file, key
    return text, None


def library(module: str, path: Path) -> ModuleType:
    """Import what reads a file.

    Raises:
        MissingFrameworkError: it is not installed; the hint is what to type.
    """
    try:
        return require(module, EXTRA)
    except MissingFrameworkError as exc:
        name = next(name for name, root in LIBRARIES.items() if root == module.partition(".")[0])
        said = exc.message.replace(module, name, 1)
        raise MissingFrameworkError(f"{path}: cannot be read: {said}", exc.hint) from exc


def refuse_large(size: int, source: object) -> None:
    """Refuse what would fill the memory.

    Raises:
        BatchError: that.
    """
    if size > MOST:
        raise BatchError(f"{source}: takes {size / 1e9:.1f} GB of memory", "--rows 0:32 reads the first 32 rows alone")


def some(names: Iterable[str]) -> str:
    """A few of the names, quoted."""
    first = list(names)
    return listed(first[:6]) + (f" and {len(first) - 6} more" if len(first) > 6 else "")
