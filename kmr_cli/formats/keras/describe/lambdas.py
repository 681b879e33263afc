"""Python code that a config holds: lambdas as layers, activations and other arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kmr_cli.errors import ModelLoadError

_MARK = "__lambda__"
_CODE = "4w"
"""How a function that was marshalled begins in base64: with the byte that stands for code."""
_DEEPEST, _NAME = 200, 64


def refuse_lambda_arguments(path: Path, entry: Any) -> None:
    """Refuse a config in which an argument is a lambda: it is code, which is not loaded from files.

    Raises:
        ModelLoadError: with the layer and the argument.
    """
    found = _find(entry, "", "", 0)
    if found is not None:
        layer, argument = found
        raise ModelLoadError(
            f"{path.name}: layer {layer!r} has a lambda as {argument!r}: Python code, which is not loaded",
            "make the lambda a registered function (keras.saving.register_keras_serializable), or a layer of its own,"
            " and save the model again",
        )


def is_lambda(entry: dict[str, Any]) -> bool:
    """Whether this is what Keras makes of a lambda: with a class name, or (Keras 2) its code, defaults and closure."""
    value = entry.get("value")
    if entry.get("class_name") == _MARK:
        return True
    if entry.keys() != {"value"} or not isinstance(value, list) or len(value) != 3:
        return False
    return isinstance(value[0], str) and value[0].startswith(_CODE) and len(value[0]) > _NAME


def _find(entry: Any, layer: str, argument: str, depth: int) -> tuple[str, str] | None:
    if depth > _DEEPEST:
        return None
    if isinstance(entry, dict):
        if is_lambda(entry):
            return layer, argument
        inner = entry.get("config")
        name = inner.get("name") if isinstance(inner, dict) else None
        layer = name if isinstance(name, str) else layer
        parts = list(entry.items())
    elif isinstance(entry, list):
        parts = [(argument, item) for item in entry]
    else:
        return None
    for key, value in parts:
        found = _find(value, layer, str(key), depth + 1)
        if found is not None:
            return found
    return None
