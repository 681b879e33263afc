"""Classes and functions of the user's modules that are not registered, found by the name that the config says."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from kmr_cli.errors import ModelLoadError
from kmr_cli.formats.common.frameworks import import_from_here
from kmr_cli.formats.keras.describe.names import BUILT_IN


def custom_objects(entry: Any, imports: Iterable[str], given: Iterable[tuple[str, Any]] = ()) -> dict[str, Any]:
    """What the user gave, and what the modules define under names that a config mentions and that are not Keras' own.

    Args:
        entry: the config.
        imports: modules that the user named, imported already.
        given: classes and functions by name; those of another process as ``module:name``.

    Raises:
        ModelLoadError: one of those cannot be imported.
    """
    mentioned = {name.rpartition(">")[2] for name in _names(entry)} - frozenset(BUILT_IN)
    found = {name: _imported(name, thing) if isinstance(thing, str) else thing for name, thing in given}
    for module in imports:
        package = module.partition(".")[0]  # a package may hand on what one of its modules defines
        for name, value in vars(sys.modules[module]).items():
            own = inspect.isclass(value) or inspect.isfunction(value)
            if name in mentioned and own and str(value.__module__).partition(".")[0] == package:
                found.setdefault(name, value)
    return found


def _imported(name: str, reference: str) -> Any:
    module, _, attribute = reference.partition(":")
    try:
        thing: Any = import_from_here(module)
        for part in attribute.split("."):
            thing = getattr(thing, part)
    except Exception as exc:
        raise ModelLoadError(
            f"custom_objects: {name!r} is {reference}, which cannot be imported in another process",
            "open the model with in_process=True, or move the definition to a module that can be imported",
        ) from exc
    return thing


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
