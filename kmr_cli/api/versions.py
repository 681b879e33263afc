"""Versions of the programs involved, for what outlives this run."""

from __future__ import annotations

import contextlib
import platform
from functools import cache
from importlib import metadata

from kmr_cli.formats.facts import programs


def versions_of(*formats: str) -> dict[str, str]:
    """Name of a program -> its version: this one, Python, NumPy, and what runs models of these formats."""
    found = {"kmr_inspect": version_of("kmr-inspect") or "", "python": platform.python_version()}
    for program in dict.fromkeys(("numpy", *(one for name in formats for one in programs(name)))):
        version = version_of(program)
        if version is not None:
            found[program] = version
    return found


@cache
def version_of(distribution: str) -> str | None:
    """The version of a distribution; None where it is not installed, as where another brings the same module."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(distribution)
    return None
