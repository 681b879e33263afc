"""Numbers that a model may compare what it is given with, as every format lists them."""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from kmr_cli.formats.common.words import words

_MOST = 64
"""Numbers that are listed."""
COMPARISONS = frozenset(
    {"eq", "ne", "lt", "le", "gt", "ge", "equal", "notequal", "less", "greater"}
    | {"lessequal", "greaterequal", "lessorequal", "greaterorequal"}
)
"""Operators of all vocabularies, in small letters, without the vocabulary's own name and without an overload's."""
_LIBRARIES = words("torch torchvision tensorflow keras tf_keras numpy jax")
"""Packages that aren't looked into: what they ask of sizes is theirs, and well known."""
_MOST_FUNCTIONS = 100
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
    """Numbers in the code of this method of an object and in what it calls, and attributes and globals that they read.

    Libraries aren't looked into.
    """
    yield from _followed(getattr(type(thing), name, None), thing, set())


def in_functions(thing: Any) -> Iterator[Any]:
    """The same of functions that an object holds, such as an activation."""
    for value in list(vars(thing).values()):
        if callable(value) and not isinstance(value, type):
            yield from _followed(value, None, set())


def in_attributes(thing: Any) -> Iterator[Any]:
    """Numbers that an object holds under public names."""
    yield from (value for name, value in vars(thing).items() if not name.startswith("_"))


def _followed(function: Any, thing: Any, seen: set[CodeType]) -> Iterator[Any]:
    """Numbers in a function and in those that it calls: methods of ``thing``, and others by the names in its code."""
    if isinstance(function, functools.partial):
        yield from (*function.args, *function.keywords.values())
        function = function.func
    function = inspect.unwrap(getattr(function, "__func__", function)) if callable(function) else None
    if not isinstance(function, FunctionType) or _of_a_library(function) or len(seen) >= _MOST_FUNCTIONS:
        return
    if function.__code__ in seen:
        return
    seen.add(function.__code__)
    yield from _in_code(function.__code__)
    yield from (one for one in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()))
    for value in _named_in(function, thing):
        if callable(value):
            yield from _followed(value, thing, seen)
        else:
            yield value


def _named_in(function: FunctionType, thing: Any) -> Iterator[Any]:
    """What the names in a function's code may stand for."""
    names = list(dict.fromkeys(_names(function.__code__)))
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # one that is empty yet
            yield cell.cell_contents
    for name in names:
        if thing is not None:
            yield vars(thing).get(name)
            yield getattr(type(thing), name, None)
        value = function.__globals__.get(name)
        yield value
        if isinstance(value, ModuleType) and not _of_a_library(value):
            yield from (getattr(value, other, None) for other in names)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _of_a_library(thing: FunctionType | ModuleType) -> bool:
    named = thing.__name__ if isinstance(thing, ModuleType) else thing.__module__ or ""
    top = named.partition(".")[0]
    return top in _LIBRARIES or (top in sys.stdlib_module_names and top != "__main__")


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
