"""Formats that other distributions bring: entry points of the group ``kmr_inspect.formats``, each naming a module.

    [project.entry-points."kmr_inspect.formats"]
    toy = "kmr_toy_format"

The name of the entry point is the format's ``NAME``. A distribution that cannot be used stands in the way of no other:
it is reported where nothing else can open the file.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kmr_cli.errors import ModelFileError
from kmr_cli.formats import FORMATS
from kmr_cli.formats.interface import REQUIRED, Format

if TYPE_CHECKING:
    from importlib import metadata

GROUP = "kmr_inspect.formats"


class Installed(NamedTuple):
    """What was found.

    Attributes:
        formats: those that can be used, in the order of their names.
        broken: a line for each of the others.
    """

    formats: tuple[Format, ...]
    broken: tuple[str, ...]


@functools.cache
def installed() -> Installed:
    """Look once per process (50 ms), and import every module that is registered."""
    from importlib import metadata  # takes as long as the rest of this package

    formats: dict[str, Format] = {}
    broken = []
    for entry in sorted(metadata.entry_points(group=GROUP), key=lambda entry: (entry.name, _distribution(entry))):
        try:
            formats[entry.name] = _loaded(entry, formats)
        except ValueError as exc:
            broken.append(f"the format {entry.name!r} of the distribution {_distribution(entry)} {exc}")
    return Installed(tuple(formats.values()), tuple(broken))


def met() -> tuple[Format, ...]:
    """Those that this process has looked for already."""
    return installed().formats if installed.cache_info().currsize else ()


def claiming(path: Path) -> Format | None:
    """The first of these formats that a file has, or None.

    Raises:
        ModelFileError: none has it, and a format that might have cannot be used.
    """
    found, broken = installed()
    lines = list(broken)
    for candidate in found:
        try:
            if candidate.matches(path):
                return candidate
        except Exception as exc:  # another distribution's code
            lines.append(f"the format {candidate.NAME!r} failed to look at it ({_said(exc)})")
    if lines:
        raise ModelFileError(
            f"{path}: not a model file of a known format; {'; '.join(lines)}",
            "update that distribution or uninstall it" if len(lines) == 1 else "update or uninstall them",
        )
    return None


def _loaded(entry: metadata.EntryPoint, known: dict[str, Format]) -> Format:
    """The format of an entry point.

    Raises:
        ValueError: it cannot be used; the message goes on after the words "the format X of the distribution Y".
    """
    from kmr_cli.formats import layer_class

    if entry.name in (*FORMATS, layer_class.NAME):
        raise ValueError("has the name of a built-in one")
    if entry.name in known:
        raise ValueError("has the name of another distribution's")
    try:
        found = entry.load()
    except Exception as exc:  # whatever its module does when it is imported
        raise ValueError(f"cannot be loaded ({_said(exc)})") from exc
    missing = [name for name in REQUIRED if not hasattr(found, name)]
    if missing:
        raise ValueError(f"is incomplete: {entry.value} has no {', '.join(missing)}")
    if entry.name != found.NAME:
        raise ValueError(f"calls itself {found.NAME!r}")
    return found  # type: ignore[no-any-return]


def _distribution(entry: metadata.EntryPoint) -> str:
    found = entry.dist
    return f"{found.name} {found.version}" if found is not None else "unknown"


def _said(exc: BaseException) -> str:
    line = next((line.strip() for line in str(exc).splitlines() if line.strip()), "")
    return f"{type(exc).__name__}: {line}" if line else type(exc).__name__
