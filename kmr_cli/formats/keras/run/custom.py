"""Classes and functions of the user's modules that are not registered, found by the name that the config says."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from kmr_cli.formats.keras.describe.names import BUILT_IN


def custom_objects(entry: Any, imports: Iterable[str]) -> dict[str, Any]:
    """What the modules define under names that a config mentions, and that are not Keras' own.

    Args:
        entry: the config.
        imports: modules that the user named, imported already.
    """
    mentioned = {name.rpartition(">")[2] for name in _names(entry)} - frozenset(BUILT_IN)
    found: dict[str, Any] = {}
    for module in imports:
        for name, value in vars(sys.modules[module]).items():
            own = inspect.isclass(value) or inspect.isfunction(value)
            if name in mentioned and own and value.__module__ == module:
                found.setdefault(name, value)
    return found


def _names(entry: Any) -> Iterator[str]:
    """Every text in a config that may be the name of a class or function."""
    pending = [entry]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, (list, tuple)):
            pending.extend(value)
