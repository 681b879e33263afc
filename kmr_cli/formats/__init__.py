"""One module (or package) per model format, and the two protocols that each of them fulfils.

To add a format: write a module with the names of :class:`Format`, and list it in :data:`FORMATS`. The
conformance tests (``tests/formats/test_conformance.py``) then run for it.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import cast

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.interface import Format, OpenOptions
from kmr_cli.records import ModelInfo

FORMATS = {
    "keras.archive": (".keras",),
    "keras.hdf5": (".h5", ".hdf5"),
    "savedmodel": ("",),
    "torchscript": (".pt", ".pth", ".ts"),
}
"""The modules of this package that are formats, and the suffixes that their files usually have."""


def load_format(name: str) -> Format:
    """The format of one module of :data:`FORMATS`."""
    return cast(Format, import_module(f"kmr_cli.formats.{name}"))


def all_formats() -> tuple[Format, ...]:
    """Every known format."""
    return tuple(load_format(name) for name in FORMATS)


def describe(path: Path, options: OpenOptions) -> tuple[Format, ModelInfo]:
    """Detect the format of a file and read its description.

    Raises:
        ModelFileError: no model, a damaged one, or options that are for another format.
    """
    found = detect(path)
    if found.NAME != "savedmodel" and (options.signature is not None or options.tags is not None):
        raise ModelFileError(
            f"{path}: a {found.TITLE} has no signatures and no tag sets", "leave out --signature, --tag"
        )
    return found, found.describe(path, options)


def detect(path: Path) -> Format:
    """The format of a file. The suffix nominates, which saves the others' imports; the content decides.

    Raises:
        ModelFileError: nothing there, or nothing that this program can open.
    """
    from kmr_cli.formats import unrecognized

    unrecognized.refuse_missing(path)
    suffix = path.suffix.lower()
    for name in sorted(FORMATS, key=lambda name: suffix not in FORMATS[name]):
        candidate = load_format(name)
        if candidate.matches(path):
            return candidate
    raise unrecognized.diagnose(path)
