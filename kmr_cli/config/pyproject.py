"""``[tool.kmr-inspect]`` in the nearest ``pyproject.toml``: what a team decides once instead of typing it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kmr_cli.config.batch_sizes import checked_sizes
from kmr_cli.config.per_model import ModelSettings, PerModel, parse_models, settings_of, switch
from kmr_cli.config.project_file import SECTION, Decided, limit, read_section
from kmr_cli.config.tolerance import Tolerance
from kmr_cli.errors import KmrError

_NUMBERS = ("rtol", "atol", "ulp")


@dataclass(frozen=True)
class Settings:
    """What the section may hold.

    Attributes:
        select, ignore, allow, allow_output: as the options of the same names.
        batch_sizes: the same, as whole numbers.
        allow_inconclusive: what could not be verified is accepted.
        tolerance: (layer path or glob, tolerance of its values in ``compare``), in the order of the file.
        models: (path or glob, what is said of the data of these models), the same.
        timeout, memory: what the process of a model may take, as the options of the same names.
        sandbox: whether it runs in one: ``offered``, ``required`` or ``off``; empty where nothing is said.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    allow_output: tuple[str, ...] = ()
    batch_sizes: tuple[int, ...] = ()
    allow_inconclusive: bool = False
    tolerance: tuple[tuple[str, Tolerance], ...] = ()
    models: PerModel = ()
    timeout: float | None = None
    memory: int | None = None
    sandbox: str = ""

    def of(self, model: str | Path) -> ModelSettings:
        """What is said of the model at a path."""
        return settings_of(self.models, model)

    def accepts_inconclusive(self, model: str | Path) -> bool:
        """Whether what could not be verified of the model at a path is accepted."""
        said = self.of(model).allow_inconclusive
        return self.allow_inconclusive if said is None else said


def read_settings(folder: Path) -> Settings:
    """The settings of the nearest ``pyproject.toml``, from ``folder`` upwards; the defaults where there is none.

    Raises:
        KmrError: the file is not TOML, or the section holds something unknown.
    """
    found = read_section(folder)
    return Settings() if found is None else _parse(*found)


def _parse(file: Path, section: dict[str, Any]) -> Settings:
    known = [name.replace("_", "-") for name in Settings.__dataclass_fields__]
    values: dict[str, Any] = {}
    for key, value in section.items():
        if key not in known:
            raise KmrError(f"{file}: [{SECTION}] has an unknown key {key!r}", f"known keys are {', '.join(known)}")
        if key == "tolerance":
            values[key] = _tolerance(file, value)
            continue
        if key == "models":
            values[key] = parse_models(file.absolute(), SECTION, value)
            continue
        if key in Decided._fields:
            values[key] = limit(file, key, value)
            continue
        if key == "allow-inconclusive":
            values["allow_inconclusive"] = switch(f"{file}: [{SECTION}]", key, value)
            continue
        if key == "batch-sizes":
            values["batch_sizes"] = _batch_sizes(file, value)
            continue
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise KmrError(f"{file}: [{SECTION}] {key} must be a list of strings", f'{key} = ["…"]')
        values[key.replace("-", "_")] = tuple(value)
    return Settings(**values)


def _batch_sizes(file: Path, value: object) -> tuple[int, ...]:
    problem, hint = f"{file}: [{SECTION}] batch-sizes", "batch-sizes = [1, 8, 32, 64]"
    if not isinstance(value, list):
        raise KmrError(f"{problem} must be a list of whole numbers", hint)
    try:
        return checked_sizes(value)
    except KmrError as exc:
        raise KmrError(f"{problem}: {exc.message}", hint) from exc


def _tolerance(file: Path, table: object) -> tuple[tuple[str, Tolerance], ...]:
    hint = f'under [{SECTION}.tolerance], write: "dense*" = {{ rtol = 1e-3, atol = 1e-5 }}'
    problem = f"{file}: [{SECTION}.tolerance]"
    if not isinstance(table, dict):
        raise KmrError(f"{problem} must be a table of layers", hint)
    found = []
    for pattern, numbers in table.items():
        if not isinstance(numbers, dict) or not numbers:
            if isinstance(numbers, (int, float)) and not isinstance(numbers, bool):
                hint = f'did you mean "{pattern}" = {{ rtol = {numbers} }}?'
            raise KmrError(f"{problem} {pattern!r} must give rtol, atol or ulp", hint)
        for name in numbers:
            if name not in _NUMBERS:
                near = difflib.get_close_matches(name.lower(), _NUMBERS, n=1)
                meant = f"did you mean {near[0]}?" if near else hint
                raise KmrError(f"{problem} {pattern!r} must give rtol, atol or ulp, not {name!r}", meant)
        for name, number in numbers.items():
            if isinstance(number, bool) or not isinstance(number, int if name == "ulp" else (int, float)):
                raise KmrError(f"{problem} {pattern!r}: {name} must be a number, not {number!r}", hint)
        try:
            found.append((pattern, Tolerance(**numbers)))
        except KmrError as exc:
            raise KmrError(f"{problem} {pattern!r}: {exc.message}", exc.hint) from exc
    return tuple(found)
