"""Files that nobody should load, made when tests run. Each names the rule that has to find it.

A builder takes an empty folder and returns the file or directory that it made there. None of them needs a framework:
they change small real models of ``sample_models/``. What they would do is harmless: touch a file named ``canary``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

SAMPLES = Path(__file__).parents[2] / "sample_models"


DAMAGED, BOUNDED = "damaged", "bounded"
"""In place of a rule: reading it ends with an explanation; it is read, and takes no more than its size accounts for."""


class BadFile(NamedTuple):
    """One of them.

    Attributes:
        name: of the case.
        rule: the code of the rule that has to find it, :data:`DAMAGED` or :data:`BOUNDED`.
        build: what makes it.
    """

    name: str
    rule: str
    build: Callable[[Path], Path]


def collector() -> tuple[list[BadFile], Callable[..., Callable[..., Callable[[Path], Path]]]]:
    """An empty list of bad files, and the decorator that puts builders into it."""
    found: list[BadFile] = []

    def bad(rule: str, name: str = "") -> Callable[..., Callable[[Path], Path]]:
        def decorate(build: Callable[[Path], Path]) -> Callable[[Path], Path]:
            found.append(BadFile(name or build.__name__, rule, build))
            return build

        return decorate

    return found, bad
