"""Formats of model files: the table of those that are built in, and which one a file has.

A format is one folder and one line in :data:`FORMATS`; :mod:`kmr_cli.formats.interface` says what stands in the folder,
:mod:`kmr_cli.formats.conformance` checks what it promises. Formats of other distributions come in through the entry
point group ``kmr_inspect.formats`` (:mod:`kmr_cli.formats.plugins`).

May import: errors, records.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import NamedTuple, cast

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.interface import Format, OpenOptions
from kmr_cli.records import ModelInfo


class Line(NamedTuple):
    """One line of the table."""

    module: str
    """Where the format's facts and functions stand; see :class:`kmr_cli.formats.interface.Format`."""
    suffixes: tuple[str, ...]
    """Those that its files usually have; ``""`` for a directory."""


FORMATS = {
    "keras": Line("kmr_cli.formats.keras.archive", (".keras",)),
    "h5": Line("kmr_cli.formats.keras.hdf5", (".h5", ".hdf5")),
    "savedmodel": Line("kmr_cli.formats.savedmodel", ("",)),
    "torchscript": Line("kmr_cli.formats.torchscript", (".pt", ".pth", ".ts")),
    "pt2": Line("kmr_cli.formats.exported", (".pt2",)),
    "onnx": Line("kmr_cli.formats.onnx", (".onnx",)),
}
"""The formats that are built in, by name."""


def load_format(name: str) -> Format:
    """The built-in format of one line of :data:`FORMATS`."""
    return cast(Format, import_module(FORMATS[name].module))


def all_formats() -> tuple[Format, ...]:
    """Every format that is built in."""
    return tuple(load_format(name) for name in FORMATS)


def find_format(name: str) -> Format | None:
    """The format of this name, whoever brings it; None where nobody does (a snapshot may come from elsewhere)."""
    if name in FORMATS:
        return load_format(name)
    from kmr_cli.formats import plugins

    return next((format_ for format_ in plugins.installed().formats if name == format_.NAME), None)


def describe(path: Path, options: OpenOptions) -> tuple[Format, ModelInfo]:
    """Detect the format of a file and read its description.

    Raises:
        ModelFileError: no model, a damaged one, or options that are for another format.
    """
    found = detect(path)
    _refuse_options(path, found, options)
    return found, found.describe(path, options)


def detect(path: Path) -> Format:
    """The format of a file. The suffix nominates, which saves the others' imports; the content decides.

    Formats of other distributions are asked last: looking for them takes 50 ms.

    Raises:
        ModelFileError: nothing there, or nothing that this program can open.
    """
    from kmr_cli.formats import unrecognized

    unrecognized.refuse_missing(path)
    suffix = path.suffix.lower()
    for name in sorted(FORMATS, key=lambda name: suffix not in FORMATS[name].suffixes):
        candidate = load_format(name)
        if candidate.matches(path):
            return candidate
    from kmr_cli.formats import plugins

    found = plugins.claiming(path)
    if found is None:
        raise unrecognized.diagnose(path)
    return found


OPTIONS = {
    "signature": ("no signatures", "--signature"),
    "tags": ("no tag sets", "--tag"),
    "method": ("no methods to choose from", "--method"),
    "constants": ("no arguments that are not inputs", "--constant"),
    "custom": ("no classes of Keras to give", "custom_objects"),
}
"""Options that not every format takes: what the others lack, and how the command line calls it."""


def _refuse_options(path: Path, found: Format, options: OpenOptions) -> None:
    asked = [name for name in OPTIONS if getattr(options, name) is not None]
    refused = [name for name in asked if name not in found.OPTIONS]
    if refused:
        lacks = " and ".join(OPTIONS[name][0] for name in refused)
        leave_out = ", ".join(OPTIONS[name][1] for name in refused)
        raise ModelFileError(f"{path}: {found.FILE} has {lacks}", f"leave out {leave_out}")
