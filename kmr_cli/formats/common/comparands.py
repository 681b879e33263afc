"""Numbers that a model may compare what it is given with, as every format lists them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np

_MOST = 64
"""Numbers that are listed."""
COMPARISONS = frozenset(
    {"eq", "ne", "lt", "le", "gt", "ge", "equal", "notequal", "less", "greater"}
    | {"lessequal", "greaterequal", "lessorequal", "greaterorequal"}
)
"""Operators of all vocabularies, in small letters, without the vocabulary's own name and without an overload's."""
SMALL = 8
"""Elements of a constant that may hold what a model compares with."""


@dataclass(frozen=True)
class Comparands:
    """Numbers that a model may compare what it is given with, each once.

    Attributes:
        compared: those that stand in a comparison, or in code of which it isn't known what for.
        others: small constants that may be meant for anything.
    """

    compared: tuple[float, ...] = ()
    others: tuple[float, ...] = ()


def listed(compared: Iterable[Any], others: Iterable[Any] = ()) -> Comparands:
    """Numbers, each once, as many as are worth trying.

    Args:
        compared: numbers and small arrays of them; anything else is left out.
        others: the same, of constants that may be meant for anything.
    """
    first, rest = (dict.fromkeys(number for one in values for number in _of(one)) for values in (compared, others))
    kept = tuple(first)[:_MOST]
    return Comparands(kept, tuple(number for number in rest if number not in first)[: _MOST - len(kept)])


def in_method(thing: Any, name: str) -> Iterator[Any]:
    """Numbers in the code of this method of an object, and attributes that it reads."""
    function = getattr(type(thing), name, None)
    code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
    if code is not None:
        yield from _in_code(code)
        yield from (vars(thing)[name] for name in code.co_names if name in vars(thing))


def in_attributes(thing: Any) -> Iterator[Any]:
    """Numbers that an object holds under public names."""
    yield from (value for name, value in vars(thing).items() if not name.startswith("_"))


def _in_code(code: CodeType) -> Iterator[Any]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _in_code(constant)
        elif isinstance(constant, tuple | frozenset):
            yield from constant
        else:
            yield constant


def _of(value: Any) -> Iterator[float]:
    if isinstance(value, bool | np.bool_):
        return
    if isinstance(value, int | float | np.integer | np.floating):
        if math.isfinite(value):
            yield value if isinstance(value, int) else float(value)
    elif isinstance(value, np.ndarray) and 0 < value.size <= SMALL and value.dtype.kind in "iuf":
        for number in value.reshape(-1).tolist():
            yield from _of(number)
    elif isinstance(value, list | tuple) and len(value) <= SMALL:
        for number in value:
            if not isinstance(number, list | tuple):
                yield from _of(number)
