"""``[tool.kmr-inspect.models."models/a*.keras"]``: the data of some models, so that several run in one call."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from kmr_cli.config.batch_sizes import checked_sizes
from kmr_cli.config.reading import InputFiles, InputFunction, Reading
from kmr_cli.config.shapes import parse_shapes
from kmr_cli.errors import KmrError

_LISTS = ("input", "shape", "mask-input")
_TEXTS = ("input-from", "rows", "resize", "scale")
_SWITCHES = ("trust", "allow-inconclusive")
_KEYS = (*_LISTS, "batch-sizes", *_SWITCHES, *_TEXTS)


@dataclass(frozen=True)
class ModelSettings:
    """What a project says of a model, as the options of the same names; empty where it says nothing.

    Attributes:
        input: ``FILE`` or ``NAME=FILE``, absolute.
        shape: of one sample, as ``--shape`` takes it.
        mask_input: ``NAME`` or ``NAME=VALUE``.
        batch_sizes: the other sizes to try.
        trust: load it whatever a scan finds in it.
        allow_inconclusive: what could not be verified of it is accepted.
        input_from: ``module:function``, which gives the data.
        rows, resize, scale: how files are read.
    """

    input: tuple[str, ...] = ()
    shape: tuple[str, ...] = ()
    mask_input: tuple[str, ...] = ()
    batch_sizes: tuple[int, ...] = ()
    trust: bool | None = None
    allow_inconclusive: bool | None = None
    input_from: str | None = None
    rows: str | None = None
    resize: str | None = None
    scale: str | None = None

    @property
    def reading(self) -> Reading:
        """How files are read."""
        return Reading(self.rows, self.resize, self.scale)

    def data(self, over: Reading) -> InputFiles | InputFunction | None:
        """The data; None where nothing is said of any.

        Args:
            over: what is typed of how files are read.
        """
        if self.input_from is not None:
            return InputFunction(self.input_from)
        return InputFiles.of(self.input, over.or_else(self.reading)) if self.input else None

    def over(self, other: ModelSettings) -> ModelSettings:
        """This, completed with what only the other says. Data and shapes take the place of each other."""
        says_data = bool(self.input or self.shape or self.input_from)
        return ModelSettings(
            self.input if says_data else other.input,
            self.shape if says_data else other.shape,
            self.mask_input or other.mask_input,
            self.batch_sizes or other.batch_sizes,
            other.trust if self.trust is None else self.trust,
            other.allow_inconclusive if self.allow_inconclusive is None else self.allow_inconclusive,
            self.input_from if says_data else other.input_from,
            self.rows if says_data else self.rows or other.rows,
            self.resize or other.resize,
            self.scale or other.scale,
        )


PerModel = tuple[tuple[str, ModelSettings], ...]
"""(absolute path or glob, settings), in the order of the file."""


def settings_of(models: PerModel, path: str | Path) -> ModelSettings:
    """What is said of the model at a path: of several patterns that fit, the last that says something of a key wins."""
    place = PurePath(os.path.abspath(path))  # noqa: PTH100  (links are not followed: the name is what a pattern fits)
    found = ModelSettings()
    for pattern, settings in models:
        if place.match(pattern):
            found = settings.over(found)
    return found


def parse_models(file: Path, section: str, tables: object) -> PerModel:
    """The tables under ``models``, files and patterns taken from the folder of ``pyproject.toml``.

    Raises:
        KmrError: not a table, an unknown key, or a value of the wrong type.
    """
    hint = f'write [{section}.models."models/a*.keras"], and below it input = "batch.npz"'
    if not isinstance(tables, dict):
        raise KmrError(f"{file}: [{section}.models] must hold a table for each pattern", hint)
    found = []
    for pattern, table in tables.items():
        place = f'{file}: [{section}.models."{pattern}"]'
        if not isinstance(table, dict):
            raise KmrError(f"{place} must be a table", hint)
        found.append((os.path.join(glob.escape(str(file.parent)), pattern), _settings(file.parent, place, table)))  # noqa: PTH118  (a glob)
    return tuple(found)


def _settings(folder: Path, place: str, table: dict[str, Any]) -> ModelSettings:
    unknown = [key for key in table if key not in _KEYS]
    if unknown:
        raise KmrError(f"{place} has an unknown key {unknown[0]!r}", f"known keys are {', '.join(_KEYS)}")
    texts = {key: _texts(place, key, table[key]) for key in _LISTS if key in table}
    switches = {key: switch(place, key, table[key]) for key in _SWITCHES if key in table}
    for key in _TEXTS:
        if not isinstance(table.get(key, ""), str):
            raise KmrError(f"{place} {key} must be a text", f'{key} = "…"')
    sources = [key for key in ("input", "input-from", "shape") if key in table]
    if len(sources) > 1:
        hint = "shape is for synthetic data" if "shape" in sources else "each gives the data"
        raise KmrError(f"{place} has both {sources[0]} and {sources[1]}", f"{hint}: leave out one of them")
    sizes: tuple[int, ...] = ()
    try:
        parse_shapes(texts.get("shape", ()))
        Reading(table.get("rows"), table.get("resize"), table.get("scale"))
        if "batch-sizes" in table:
            sizes = checked_sizes(table["batch-sizes"])
    except KmrError as exc:
        raise KmrError(f"{place}: {exc.message}", exc.hint) from exc
    return ModelSettings(
        tuple(absolute(text, folder) for text in texts.get("input", ())), texts.get("shape", ()),
        texts.get("mask-input", ()), sizes, switches.get("trust"), switches.get("allow-inconclusive"),
        *(table.get(key) for key in _TEXTS),
    )  # fmt: skip


def switch(place: str, key: str, value: object) -> bool:
    """A value that is true or false.

    Raises:
        KmrError: it is anything else.
    """
    if not isinstance(value, bool):
        raise KmrError(f"{place} {key} must be true or false", f"{key} = true")
    return value


def _texts(place: str, key: str, value: object) -> tuple[str, ...]:
    """A text stands for a list of one."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        raise KmrError(f"{place} {key} must be a text or a list of texts", f'{key} = "…" or {key} = ["…", "…"]')
    return tuple(given)


def absolute(text: str, folder: Path) -> str:
    """``FILE`` or ``NAME=FILE`` with an absolute path."""
    name, equals, file = text.partition("=")
    if not equals or (folder / text).exists():
        return str(folder / text)
    return f"{name}={folder / file}"
