"""What writes the rows of batches into a file, whatever kind of file that is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from kmr_cli.dumps.about import About
from kmr_cli.errors import OutputError
from kmr_cli.records import DumpedValue


class Store(Protocol):
    """A file that is there already, with a place for every row. Several threads may write, each another batch."""

    def write(self, value: int, batch: int, rows: np.ndarray) -> None:
        """Put down the rows of a batch; ``value`` counts those that are in the file.

        Raises:
            OSError: the system refused.
        """

    def finish(self, batch: int) -> None:
        """Have the system keep what was written of a batch, and then note that it is done.

        Raises:
            OSError: the system refused.
        """

    def done(self) -> frozenset[int]:
        """The batches that are."""

    def close(self) -> None:
        """Let others have the file."""


class Kind(Protocol):
    """A module that makes such files."""

    def create(self, place: Path, about: About, values: Sequence[DumpedValue], names: Sequence[str]) -> None:
        """Make a file with no rows in it yet; all of it is there at once, or nothing.

        Raises:
            OSError: the system refused.
            OutputError: a value has a dtype that such a file has no place for.
        """

    def read_about(self, place: Path) -> About | None:
        """What a file is of; None where it is no dump.

        Raises:
            OutputError: it is one of another version, or damaged.
        """

    def open_store(self, place: Path, about: About, values: Sequence[DumpedValue], names: Sequence[str]) -> Store:
        """Write into a file that :func:`create` made.

        Raises:
            OutputError: another process does.
        """


def described(value: DumpedValue) -> str:
    """A value in words, of which two that differ could not stand in one file."""
    where = "" if value.axis is None else f", axis {value.axis}, {value.outer} times {value.inner}"
    return f"{value.dtype} {list(value.shape)}{where}"


def attributes_of(value: DumpedValue) -> dict[str, str | int | bool]:
    """What a file tells of a value."""
    return {
        "layer": value.layer,
        "call": value.call,
        "port": value.port,
        "dtype": value.dtype,
        "batch_index": value.kind,
        "batch_axis": -1 if value.axis is None else value.axis,
        "proven": value.proven,
        "evidence": value.evidence,
        "described": described(value),
    }


def lock(handle: int, place: Path) -> None:
    """Keep others from writing a file, as long as the handle is open; where that cannot be had, the handle is closed.

    Raises:
        OutputError: another process has it.
    """
    import fcntl  # Windows has none, where no model runs

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise busy(place) from None
    except OSError:
        pass  # a file system without locks


def busy(place: Path) -> OutputError:
    """The error for a file that another process writes, or reads in a way that locks it."""
    return OutputError(f"{place}: another process has it open", "wait for that to end, or give another name")
