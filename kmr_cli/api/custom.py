"""Classes and functions that the user gives for what a file only names."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from kmr_cli.errors import KmrError


def custom_of(objects: Mapping[str, Any], *, in_process: bool) -> tuple[tuple[str, Any], ...]:
    """By name, in a form that reaches the process that runs the model.

    Args:
        objects: class or function by the name that the file has for it.
        in_process: the model is run in this process, so that they can be used as they are.

    Raises:
        KmrError: no mapping of names to classes and functions, or another process cannot import one of them.
    """
    if not isinstance(objects, Mapping) or not all(
        isinstance(name, str) and callable(objects[name]) for name in objects
    ):
        raise KmrError("custom_objects takes a dictionary of names to classes or functions", 'such as {"Mine": Mine}')
    return tuple((name, thing if in_process else _reference(name, thing)) for name, thing in objects.items())


def _reference(name: str, thing: Any) -> str:
    module, qualified = getattr(thing, "__module__", None), getattr(thing, "__qualname__", "<unnamed>")
    found: Any = sys.modules.get(str(module))
    for part in qualified.split("."):
        found = getattr(found, part, None)
    if module == "__main__" or found is not thing:
        raise KmrError(
            f"custom_objects: {name!r} is defined where the process that runs the model cannot import it",
            "put it into a module, or open the model with in_process=True",
        )
    return f"{module}:{qualified}"
