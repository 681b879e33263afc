"""What a model returns beside tensors, as arrays: numbers, truth values and text. Samples can meet in these as well."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

Named: TypeAlias = "tuple[str, np.ndarray, int | None]"
"""Name, array and owner."""
_SCALARS = (bool, int, float, complex, str)


def members_of(result: Any) -> dict[str, Any]:
    """Keys and values of a dictionary, fields of a named tuple or a dataclass; nothing of anything else."""
    if isinstance(result, Mapping):
        return {str(key): value for key, value in result.items()}
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return dict(zip(result._fields, result, strict=True))
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        return {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    return {}


def is_by_sample(value: Any, size: int) -> bool:
    """Whether a value is a list with an element for each of the samples, which are ``size``."""
    return isinstance(value, list) and len(value) == size > 1


def plain_values(result: Any, size: int) -> Iterator[Named]:
    """Their names, arrays and owners; tensors, None and other objects are left out.

    A list of numbers, or of text, is one array, ``(length,)``. Names are those of its members, or ``value1`` for what
    stands second in a tuple; what is inside of them has names of its own, ``scores.value0``.

    Args:
        result: what the model returned.
        size: samples of the batch: in a list of as many elements each is a sample's, its owner.
    """
    members = members_of(result)
    if members:
        for name, value in members.items():
            yield from _of(name, value, size, None)
    elif isinstance(result, list | tuple) and plain_array(result) is None:
        yield from _elements("value", result, size, None)
    else:
        yield from _of("value0", result, size, None)


def plain_array(value: Any) -> np.ndarray | None:
    """A number, a truth value, text, or a list of them that are all of one kind; None for anything else."""
    if isinstance(value, np.ndarray | np.generic):
        return np.asarray(value)
    if isinstance(value, str):
        return np.array(value.encode(), object)
    if isinstance(value, _SCALARS):
        return _numbers(value)
    if isinstance(value, list) and value and isinstance(value[0], _SCALARS):
        kind = type(value[0])
        if all(type(one) is kind for one in value):
            return np.array([one.encode() for one in value], object) if kind is str else _numbers(value)
    return None


def _numbers(value: Any) -> np.ndarray:
    array = np.array(value)
    return array if array.dtype != object else np.array(value, np.float64)  # integers of more than 64 bits


def _of(name: str, value: Any, size: int, owner: int | None) -> Iterator[Named]:
    array = plain_array(value)
    if array is not None:
        yield name, array, owner
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _of(f"{name}.{key}", inner, size, owner)
    elif isinstance(value, list | tuple):
        yield from _elements(f"{name}.value", value, size, owner)


def _elements(start: str, values: list[Any] | tuple[Any, ...], size: int, owner: int | None) -> Iterator[Named]:
    each = owner is None and is_by_sample(values, size)
    like = None
    if isinstance(values, list):  # and not a tuple, whose elements have nothing in common
        arrays = (plain_array(value) for value in values if isinstance(value, list))
        like = next((array for array in arrays if array is not None), None)
    for place, value in enumerate(values):
        whose = place if each else owner
        if like is not None and isinstance(value, list) and not value:  # as its neighbours, and none was found here
            yield f"{start}{place}", np.zeros(0, like.dtype), whose
        else:
            yield from _of(f"{start}{place}", value, size, whose)
