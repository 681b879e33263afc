"""The table of this program in the nearest ``pyproject.toml``, and its limits: little is imported for it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

from kmr_cli.config.limits import limits_of
from kmr_cli.errors import KmrError

SECTION = "tool.kmr-inspect"


class Decided(NamedTuple):
    """What a project says of the process of a model, as the options of the same names; ``sandbox`` may be empty."""

    timeout: float | None = None
    memory: int | None = None
    sandbox: str = ""


def decided_limits(folder: Path) -> Decided:
    """The limits of the nearest ``pyproject.toml``, from ``folder`` upwards.

    Raises:
        KmrError: the file is not TOML, or no limits are what stands there.
    """
    found = read_section(folder)
    if found is None:
        return Decided()
    file, section = found
    return Decided(**{key: limit(file, key, section[key]) for key in Decided._fields if key in section})


def read_section(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The nearest file, and its table; None where there is no file.

    Raises:
        KmrError: the file is not TOML, or holds no table there.
    """
    file = next((place / "pyproject.toml" for place in (folder, *folder.parents) if _is_there(place)), None)
    if file is None:
        return None
    if sys.version_info >= (3, 11):  # here, because most folders have no such file
        import tomllib
    else:
        import tomli as tomllib
    try:
        section = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("kmr-inspect", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as exc:
        raise KmrError(f"{file}: cannot be read ({exc})") from exc
    if not isinstance(section, dict):
        raise KmrError(f"{file}: {SECTION} must be a table", f"begin it with [{SECTION}]")
    return file, section


def limit(file: Path, key: str, value: object) -> Any:
    """One of the limits, checked.

    Raises:
        KmrError: it is none.
    """
    try:
        if key == "sandbox":
            return limits_of(sandbox=value if isinstance(value, str) else repr(value)).sandbox
        return limits_of(timeout=value).timeout if key == "timeout" else limits_of(memory=value).memory
    except KmrError as exc:
        example = {"timeout": "timeout = 60", "memory": 'memory = "4G"', "sandbox": 'sandbox = "required"'}[key]
        raise KmrError(f"{file}: [{SECTION}] {key}: {exc.message}", example) from exc


def _is_there(place: Path) -> bool:
    return (place / "pyproject.toml").is_file()
