"""Files that a batch is read from: one module for each kind of file, loaded when the first file of its kind is met.

A module has ``read(source, reading)``, which gives what the file holds as :class:`kmr_cli.batch.fit.GivenInput`;
images are read together, since several are one input. One whose files can be read in the middle also has
``lengths(source)``: how many rows each array of a file holds. May import: what ``batch`` may, and the library made for
its kind, lazily.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from kmr_cli.batch.files.source import Source
from kmr_cli.batch.given_input import GivenInput
from kmr_cli.config.reading import Reading


class Kind(NamedTuple):
    """How files of a kind are recognized.

    Text is by its suffix, since a table may begin with any letters; all else by its first bytes.
    """

    module: str
    beginnings: tuple[bytes, ...] = ()
    suffixes: tuple[str, ...] = ()


KINDS = {
    "csv": Kind("kmr_cli.batch.files.csv", (), (".csv", ".tsv")),
    "json": Kind("kmr_cli.batch.files.json", (), (".json", ".jsonl", ".ndjson")),
    "safetensors": Kind("kmr_cli.batch.files.safetensors", (), (".safetensors",)),
    "arrays": Kind("kmr_cli.batch.files.arrays", (b"\x93NUMPY", b"PK")),
    "hdf5": Kind("kmr_cli.batch.files.hdf5", (b"\x89HDF",)),
    "parquet": Kind("kmr_cli.batch.files.parquet", (b"PAR1",)),
}
"""In the order in which a file is held against them."""
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
"""Suffixes of images; a folder holds those."""
_IMAGE_BEGINNINGS = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"GIF8", b"II*\0", b"MM\0*")


def kind_of(path: Path, head: bytes) -> str | None:
    """The kind of a file, ``image`` among them; None for one that isn't read."""
    suffix = path.suffix.lower()
    for name, kind in KINDS.items():
        if suffix in kind.suffixes or (head and any(head.startswith(start[: len(head)]) for start in kind.beginnings)):
            return name
    image = head.startswith(_IMAGE_BEGINNINGS) or (head.startswith(b"RIFF") and head[8:12] == b"WEBP")
    return "image" if image else None


def read(kind: str, source: Source, reading: Reading) -> list[GivenInput]:
    """What a file of a kind of :data:`KINDS` holds.

    Raises:
        BatchError: it cannot be read, or not so.
        MissingFrameworkError: the library that reads this kind is not installed.
    """
    found: list[GivenInput] = import_module(KINDS[kind].module).read(source, reading)
    return found


def lengths(kind: str, source: Source) -> dict[str, int] | None:
    """The rows of each array of a file of a kind of :data:`KINDS`, by name; None where it is only read as a whole.

    Raises:
        BatchError: it cannot be read.
        MissingFrameworkError: the library that reads this kind is not installed.
    """
    tell = getattr(import_module(KINDS[kind].module), "lengths", None)
    found: dict[str, int] | None = None if tell is None else tell(source)
    return found


def count_images(places: Sequence[Path]) -> int:
    """How many images these files and folders are.

    Raises:
        BatchError: a folder without images.
    """
    from kmr_cli.batch.files.images import images_in

    return sum(len(images_in(place)) if place.is_dir() else 1 for place in places)


def read_images(name: str | None, places: Sequence[Path], reading: Reading, *, channels_first: bool) -> GivenInput:
    """Images, each of which is a sample of one input; a folder stands for all in it.

    Args:
        name: of the input; None where nobody says.
        places: files and folders, in order.
        reading: which of them, their size and scale.
        channels_first: the layout where the model declares none.

    Raises:
        BatchError: a folder without images, or rows that aren't there.
    """
    from kmr_cli.batch.files.images import images

    return images(name, places, reading, channels_first=channels_first)
