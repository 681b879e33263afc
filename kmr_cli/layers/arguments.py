"""Checks of the arguments that the layers take."""

from __future__ import annotations

import math
import operator
from typing import Any


def integer(name: str, value: Any) -> int:
    """The value as an int; NumPy's integers count, True and 2.0 do not.

    Raises:
        ValueError: it isn't an integer.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be an integer, not {value!r}") from None


def positive_integer(name: str, value: Any) -> int:
    """The value as an int of at least 1.

    Raises:
        ValueError: it isn't an integer, or below 1.
    """
    number = integer(name, value)
    if number < 1:
        raise ValueError(f"{name} must be at least 1, not {number}")
    return number


def finite_number(name: str, value: Any) -> float:
    """The value as a float.

    Raises:
        ValueError: it isn't a number, or NaN or infinite.
    """
    try:
        if isinstance(value, (bool, str)):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, not {value!r}") from None
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, not {number}")
    return number


def rank_at_least(layer: str, least: int, form: str, shape: tuple[int | None, ...]) -> None:
    """Refuse inputs with too few axes.

    Args:
        layer: the layer's name, for the message.
        least: how many axes its inputs must have.
        form: how the inputs' shape is written in the layer's description, such as ``(..., N, D)``.
        shape: the inputs' shape.

    Raises:
        ValueError: the inputs have fewer axes.
    """
    if len(shape) < least:
        raise ValueError(f"{layer}: inputs must have the shape {form}, not {tuple(shape)}")
