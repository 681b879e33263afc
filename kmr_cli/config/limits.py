"""What a model may take, and reach: ``--timeout``, ``--memory`` and the sandbox around it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from kmr_cli.errors import KmrError

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*(?:([KMGT])(i?B)?|B)?", re.IGNORECASE)
_POWERS = {"K": 1, "M": 2, "G": 3, "T": 4}


Containment: TypeAlias = Literal["offered", "required", "off"]
"""Whether a model runs in a sandbox: as far as the machine offers one, not without one, or never."""
_CONTAINMENTS = ("offered", "required", "off")


@dataclass(frozen=True)
class Limits:
    """What the process of a model may take; None for as much as it needs.

    Attributes:
        timeout: seconds for one thing that it does: reading the file, or loading the model and running it.
        memory: bytes of resident memory.
        sandbox: whether it runs in one.
    """

    timeout: float | None = None
    memory: int | None = None
    sandbox: Containment = "offered"


NONE = Limits()


def limits_of(timeout: object = None, memory: object = None, sandbox: str = "offered") -> Limits:
    """The limits that somebody asks for.

    Args:
        timeout: seconds, a number.
        memory: bytes, or as text with a unit: ``4G`` and ``4GiB`` are powers of 1024, ``4GB`` of 1000.
        sandbox: ``offered``, ``required`` or ``off``.

    Raises:
        KmrError: something else, or nothing could be done with so little.
    """
    if sandbox not in _CONTAINMENTS:
        raise KmrError(f"sandbox is one of {', '.join(_CONTAINMENTS)}, not {sandbox!r}", "--require-sandbox")
    return Limits(
        None if timeout is None else _seconds(timeout), None if memory is None else _bytes(memory),
        cast(Containment, sandbox),
    )  # fmt: skip


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (0 < value < math.inf):
        raise KmrError(f"a timeout is a number of seconds above 0, not {value!r}", "--timeout 60")
    return float(value)


def _bytes(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    number = 0.0
    if found is not None:
        base = 1000 if found[3] and found[3].upper() == "B" else 1024
        number = float(found[1]) * base ** _POWERS.get((found[2] or "").upper(), 0)
    if number < 1:
        raise KmrError(f"{value!r} isn't an amount of memory", "--memory 4G, or 500M, or a number of bytes")
    return int(number)
