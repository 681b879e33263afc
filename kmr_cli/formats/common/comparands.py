"""Numbers that a model may compare what it is given with, as every format lists them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from types import CodeType
from typing import Any

import numpy as np

_MOST = 64
"""Numbers that are listed."""
SMALL = 8
"""Elements of a constant that may hold what a model compares with."""


def listed(compared: Iterable[Any], others: Iterable[Any] = ()) -> tuple[float, ...]:
    """Numbers, each once; those that stand in a comparison first.

    Args:
        compared: numbers and small arrays of them; anything else is left out.
        others: the same, of constants that may be meant for anything.
    """
    return tuple(dict.fromkeys(number for values in (compared, others) for one in values for number in _of(one)))[
        :_MOST
    ]


def in_object(thing: Any, *methods: str) -> Iterator[Any]:
    """Numbers that an object of a user's class holds, and that the code of these methods does."""
    for name in methods:
        function = getattr(type(thing), name, None)
        code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
        if code is not None:
            yield from _in_code(code)
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
