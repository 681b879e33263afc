"""Python code that a config holds: lambdas as layers, activations and other arguments."""

from __future__ import annotations

from typing import Any

_MARK = "__lambda__"
_CODE = "4w"
"""How a function that was marshalled begins in base64: with the byte that stands for code."""
_NAME = 64


def is_lambda(entry: dict[str, Any]) -> bool:
    """Whether this is what Keras makes of a lambda: with a class name, or (Keras 2) its code, defaults and closure."""
    value = entry.get("value")
    if entry.get("class_name") == _MARK:
        return True
    if entry.keys() != {"value"} or not isinstance(value, list) or len(value) != 3:
        return False
    return isinstance(value[0], str) and value[0].startswith(_CODE) and len(value[0]) > _NAME
