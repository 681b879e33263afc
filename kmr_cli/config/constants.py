"""Arguments of a model that are the same for the whole batch: ``--constant NAME=VALUE``, ``constants={...}``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kmr_cli.errors import BatchError

_WORDS = {"True": True, "False": False, "None": None}


def parse_constants(texts: Iterable[str]) -> tuple[tuple[str, Any], ...]:
    """``sr=16000``, ``scale=0.5``, ``flip=true``, ``size=[4,4]`` or ``(4,4)``, ``mode=bilinear`` as names and values.

    Raises:
        BatchError: a text without a name, or two for one argument.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise BatchError(f"{text!r} is not NAME=VALUE", "as in sr=16000")
        if name in found:
            raise BatchError(f"{text!r} is a second value for the same argument")
        found[name] = _parsed(value)
    return constants_of(found)


def _parsed(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    tuple_ = text.startswith("(") and text.endswith(")")
    try:
        return json.loads(f"[{text[1:-1].rstrip(', ')}]" if tuple_ else text)
    except ValueError:
        return text


def constants_of(values: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """The same for values given in Python: numbers, truth values, text, None, and lists of these.

    Raises:
        BatchError: a value of another kind.
    """
    return tuple((str(name), _frozen(value, str(name))) for name, value in values.items())


def _frozen(value: Any, name: str) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(each, name) for each in value)
    raise BatchError(
        f"the constant {name!r} is a {type(value).__name__}", "give a number, a truth value, text, or a list of these"
    )
