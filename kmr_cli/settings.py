"""``[tool.kmr-inspect]`` in the nearest ``pyproject.toml``: what a team decides once instead of typing it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from kmr_cli.errors import KmrError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_SECTION = "tool.kmr-inspect"


@dataclass(frozen=True)
class Settings:
    """Attributes: ``select``, ``ignore`` and ``allow``, as the options of the same names."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()


def read_settings(folder: Path) -> Settings:
    """The settings of the nearest ``pyproject.toml``, from ``folder`` upwards; the defaults where there is none.

    Raises:
        KmrError: the file is no TOML, or the section holds something unknown.
    """
    for place in (folder, *folder.parents):
        file = place / "pyproject.toml"
        if file.is_file():
            return _parse(file)
    return Settings()


def _parse(file: Path) -> Settings:
    try:
        section = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("kmr-inspect", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as exc:
        raise KmrError(f"{file}: cannot be read ({exc})") from exc
    known = Settings.__dataclass_fields__
    for key, value in section.items():
        if key not in known:
            raise KmrError(f"{file}: [{_SECTION}] has an unknown key {key!r}", f"it may have {', '.join(known)}")
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise KmrError(f"{file}: [{_SECTION}] {key} must be a list of strings", f'{key} = ["…"]')
    return Settings(**{key: tuple(value) for key, value in section.items()})
