"""Whether values have the types that are declared for them: what another process says is checked before it is used."""

from __future__ import annotations

import dataclasses
import math
import sys
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, TypeAlias

Check: TypeAlias = Callable[[Any], bool]

_INT64 = 2**63
_ANY_FLOAT = frozenset(
    {("TensorSpec", "padding"), *(("SampleSketch", name) for name in ("mean", "rms", "projection", "v1"))}
)
"""Fields whose numbers may be NaN or infinite: what a file declares, and sums of very large values."""


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is what a type hint says, to the innermost element.

    Knows ``Any``, None, bool, int (of 64 bits), float (finite), str, bytes, NumPy arrays, literals, unions, tuples,
    mappings and dataclasses. Of a dataclass only the class is looked at: its fields were checked when it was built.

    Raises:
        TypeError: a hint of another kind.
    """
    return _check_of(hint)(value)


@cache
def fields_of(cls: type) -> Mapping[str, Check]:
    """For every field of a dataclass, the check that its value must pass."""
    hints = typing.get_type_hints(cls, localns=_namespace(cls))
    names = [field.name for field in dataclasses.fields(cls)]
    return {name: _check_of(hints[name], any_float=(cls.__name__, name) in _ANY_FLOAT) for name in names}


def _namespace(cls: type) -> dict[str, Any]:
    """What its hints name beyond what its module holds when it runs: NumPy, which most records do without."""
    hints = (hint for base in cls.__mro__ for hint in vars(base).get("__annotations__", {}).values())
    if not any("np." in hint for hint in hints if isinstance(hint, str)):
        return {}
    import numpy as np

    return {"np": np}


@cache
def _check_of(hint: Any, *, any_float: bool = False) -> Check:
    if hint in _PLAIN:
        return _is_float if hint is float and any_float else _PLAIN[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return lambda value: any(type(value) is type(one) and value == one for one in arguments)
    if origin in (typing.Union, types.UnionType):
        return _union([_check_of(one, any_float=any_float) for one in arguments])
    if origin is tuple:
        return _tuple(arguments, any_float=any_float)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        key, item = _check_of(arguments[0]), _check_of(arguments[1])
        return lambda value: type(value) is dict and all(key(one) and item(two) for one, two in value.items())
    if isinstance(hint, type) and (dataclasses.is_dataclass(hint) or _is_array(hint)):
        return lambda value: isinstance(value, hint)
    raise TypeError(f"no check for {hint!r}")


def _union(checks: list[Check]) -> Check:
    first, *others = checks
    if len(others) == 1:  # ``int | None``, mostly, and by the thousand
        second = others[0]
        return lambda value: first(value) or second(value)
    return lambda value: any(check(value) for check in checks)


def _tuple(arguments: tuple[Any, ...], *, any_float: bool) -> Check:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        each = _check_of(arguments[0], any_float=any_float)
        if arguments[0] is int:  # owners come by the million
            return lambda value: type(value) is tuple and _all_int(value)
        return lambda value: type(value) is tuple and all(map(each, value))
    checks = [_check_of(one, any_float=any_float) for one in arguments]
    return lambda value: (
        type(value) is tuple
        and len(value) == len(checks)
        and all(check(one) for check, one in zip(checks, value, strict=True))
    )


def _is_array(hint: type) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and hint is numpy.ndarray


def _all_int(values: tuple[Any, ...]) -> bool:
    return not values or (set(map(type, values)) == {int} and min(values) >= -_INT64 and max(values) < _INT64)


def _is_float(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < _INT64)


_PLAIN: dict[Any, Check] = {
    Any: lambda _value: True,
    type(None): lambda value: value is None,
    bool: lambda value: type(value) is bool,
    int: lambda value: type(value) is int and -_INT64 <= value < _INT64,
    float: lambda value: _is_float(value) and math.isfinite(value),
    str: lambda value: type(value) is str,
    bytes: lambda value: type(value) is bytes,
}
