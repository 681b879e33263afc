"""How files of data are read: ``--rows``, ``--resize`` and ``--scale``, as typed, in Python or in a project."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from kmr_cli.errors import BatchError

IMAGENET = "imagenet"
"""The scale that torchvision's models of ImageNet take: 0 to 1, less the mean of ImageNet, over its deviation."""


class Rows(NamedTuple):
    """Rows from ``start``, up to ``stop`` and without it; to the end where ``stop`` is None."""

    start: int
    stop: int | None

    def within(self, total: int, source: object) -> slice:
        """The same rows of what holds ``total``.

        Args:
            total: how many rows there are.
            source: what holds them, for the message.

        Raises:
            BatchError: they aren't all there.
        """
        stop = total if self.stop is None else self.stop
        if stop > total or self.start >= total:
            raise outside(self, total, source)
        return slice(self.start, stop)

    def __str__(self) -> str:
        return f"{self.start}:{'' if self.stop is None else self.stop}"


class Size(NamedTuple):
    """Height and width of an image in pixels; ``crop``: its middle is cut out, rather than that it is stretched."""

    height: int
    width: int
    crop: bool = False

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"


@dataclass(frozen=True)
class Reading:
    """What is taken of files, and what becomes of images.

    Attributes:
        rows: only these samples of each file; ``100:132``.
        resize: images are made this large, height and then width: ``224x224``, ``224x224:crop``.
        scale: what the values of images are mapped to: ``0:1``, ``-1:1`` or ``imagenet``.
    """

    rows: str | None = None
    resize: str | None = None
    scale: str | None = None
    chosen: Rows = field(init=False, repr=False, compare=False, default=Rows(0, None))
    size: Size | None = field(init=False, repr=False, compare=False, default=None)
    ends: tuple[float, float] | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        """Read the texts.

        Raises:
            BatchError: one of them isn't what it should be.
        """
        if self.rows is not None:
            object.__setattr__(self, "chosen", parse_rows(self.rows))
        if self.resize is not None:
            object.__setattr__(self, "size", parse_size(self.resize))
        if self.scale not in (None, IMAGENET):
            object.__setattr__(self, "ends", parse_scale(self.scale))

    def or_else(self, other: Reading, *, rows: bool = True) -> Reading:
        """This, completed with what only the other says; of rows only with ``rows``."""
        return Reading(
            self.rows or (other.rows if rows else None), self.resize or other.resize, self.scale or other.scale
        )

    @property
    def options(self) -> tuple[str, ...]:
        """The same as options of the command line."""
        said = {"--rows": self.rows, "--resize": self.resize, "--scale": self.scale}
        return tuple(f"{option} {text}" for option, text in said.items() if text is not None)

    @property
    def option(self) -> str | None:
        """The name of the first of these options; None where nothing is said."""
        return self.options[0].partition(" ")[0] if self.options else None


WHOLE = Reading()
"""Files are read as they are."""


@dataclass(frozen=True, init=False)
class InputFiles:
    """Files that a batch is read from, and how: ``InputFiles("photos/", resize="224x224", scale="0:1")``.

    Attributes:
        files: as ``--input`` takes them: ``FILE``, ``NAME=FILE``, ``FILE:KEY`` for one array or column of a file.
        reading: rows, size and scale.
    """

    files: tuple[str, ...]
    reading: Reading

    def __init__(
        self,
        *files: str | Path | Iterable[str | Path],
        rows: str | None = None,
        resize: str | None = None,
        scale: str | None = None,
    ) -> None:
        """Say what is to be read; nothing is read yet.

        Args:
            files: as ``--input`` takes them.
            rows: only these samples of each file, ``"100:132"``; the rest of a large file is not read.
            resize: height and width of images, ``"224x224"`` or ``"224x224:crop"``.
            scale: what the values of images are mapped to, ``"0:1"``, ``"-1:1"`` or ``"imagenet"``.

        Raises:
            BatchError: one of these isn't what it should be, or no file is named.
        """
        named = [str(one) for part in files for one in ([part] if isinstance(part, (str, Path)) else part)]
        if not named:
            raise BatchError("no file of data is named", 'as in InputFiles("batch.npz", rows="0:8")')
        object.__setattr__(self, "files", tuple(named))
        object.__setattr__(self, "reading", Reading(rows, resize, scale))

    @classmethod
    def of(cls, files: Iterable[str], reading: Reading) -> InputFiles:
        """Files that are read in some way."""
        return cls(files, rows=reading.rows, resize=reading.resize, scale=reading.scale)


@dataclass(frozen=True)
class InputFunction:
    """A function that gives the batch, and is named with it in reports: ``InputFunction("my_data:batch")``.

    Attributes:
        name: ``package.module:function``; it takes no arguments and gives an array, or a mapping from input names to
            arrays. The current folder counts.
    """

    name: str


def parse_rows(text: str) -> Rows:
    """``100:132``, ``:32`` or ``100:``.

    Raises:
        BatchError: it isn't any of these.
    """
    found = re.fullmatch(r"(\d{0,18}):(\d{0,18})", text) if isinstance(text, str) else None
    if found is None or found[0] == ":":
        raise BatchError(f"{text!r} is not START:STOP", "--rows 100:132 takes 32 rows; rows count from 0")
    rows = Rows(int(found[1] or 0), int(found[2]) if found[2] else None)
    if rows.stop is not None and rows.stop <= rows.start:
        raise BatchError(f"{text!r} holds no row", "--rows 100:132 takes 32 rows; rows count from 0")
    return rows


def parse_size(text: str) -> Size:
    """``224x224``, height first, or ``224x224:crop``.

    Raises:
        BatchError: it isn't any of these.
    """
    found = re.fullmatch(r"(\d{1,6})x(\d{1,6})(:crop)?", text) if isinstance(text, str) else None
    if found is None or not (int(found[1]) and int(found[2])):
        raise BatchError(
            f"{text!r} is not HEIGHTxWIDTH",
            "--resize 224x224 stretches images to that size; --resize 224x224:crop keeps their proportions",
        )
    return Size(int(found[1]), int(found[2]), found[3] is not None)


def parse_scale(text: str | None) -> tuple[float, float]:
    """``0:1`` or ``-1:1``: what the smallest and the largest value that an image can hold become.

    Raises:
        BatchError: it isn't LOW:HIGH.
    """
    low, colon, high = (text if isinstance(text, str) else "").partition(":")
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = (0.0, 0.0)
    if not colon or not -1e9 < ends[0] < ends[1] < 1e9:
        raise BatchError(
            f"{text!r} is neither LOW:HIGH nor {IMAGENET}", "--scale 0:1 maps the values of images to 0 to 1"
        )
    return ends


def outside(rows: Rows, total: int, source: object) -> BatchError:
    """The error for rows that aren't all there."""
    some = "1 row" if total == 1 else f"{total} rows"
    what = "no rows" if not total else f"{some}, the first of which is row 0"
    return BatchError(
        f"{source}: holds {what}, not all of {rows}", f"--rows {min(rows.start, max(total - 1, 0))}:{total}"
    )
