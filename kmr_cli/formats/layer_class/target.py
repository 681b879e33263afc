"""What ``PKG.MOD:CLASS`` names, and whether its constructor takes what is given."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from kmr_cli.errors import LayerError, ModelLoadError
from kmr_cli.formats.common.frameworks import as_in_import, first_line, import_from_here

_NAMED = 6
"""Arguments of a constructor that a hint lists."""


def find(target: str) -> type:
    """Import the module and take the class out of it.

    Raises:
        LayerError: there is no such module or class.
        ModelLoadError: importing the module failed.
    """
    module_name, colon, class_name = target.partition(":")
    if not colon:
        raise LayerError(f"{target!r} isn't of the form PKG.MOD:CLASS", _as_target(target))
    if module_name.endswith(".py") or not all(part.isidentifier() for part in module_name.split(".")):
        raise LayerError(f"no module named {module_name!r}", as_in_import("my_layers"))
    try:
        module = import_from_here(module_name)  # the layer is mostly in the folder one works in
    except ModuleNotFoundError as exc:
        raise LayerError(f"no module named {exc.name!r}", "is it installed, or in this folder?") from exc
    except Exception as exc:
        raise ModelLoadError(f"{module_name}: importing it failed ({type(exc).__name__}: {first_line(exc)})") from exc
    kind = getattr(module, class_name, None)
    if not isinstance(kind, type):
        raise LayerError(f"{module_name} has no class {class_name!r}", _classes_of(module, class_name))
    return kind


def _as_target(target: str) -> str:
    """What is meant by a path of a file, or by dots alone."""
    path = target.removesuffix(".py")
    if path != target or "/" in path:
        return f"give the module and the class: {path.strip('./').replace('/', '.')}:CLASS"
    module, dot, name = target.rpartition(".")
    if dot and name.isidentifier():
        return f"write {module}:{name}"
    return "for example my_layers:Attention"


def _classes_of(module: Any, wanted: str) -> str:
    """The class that is meant, or those that the module defines."""
    classes = {name: value for name, value in vars(module).items() if isinstance(value, type)}
    by_case = {name.lower(): name for name in classes}
    near = difflib.get_close_matches(wanted.lower(), by_case, 1)
    if near:
        return f"did you mean {module.__name__}:{by_case[near[0]]}?"
    here = module.__name__
    own = [name for name, value in classes.items() if f"{value.__module__}.".startswith(f"{here}.")]
    if own:
        return f"it defines {', '.join(own[:_NAMED])}" + (", …" if len(own) > _NAMED else "")
    return "it defines no class: name the module in which the class stands"


def check_arguments(target: str, kind: type, arguments: Mapping[str, Any]) -> None:
    """Raise LayerError if the constructor does not take these, or wants more."""
    signature = inspect.signature(kind.__init__)  # type: ignore[misc]
    try:
        signature.bind(None, **arguments)
    except TypeError as exc:
        _, *others = signature.parameters.values()
        named = [one for one in others if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
        needed = [one.name for one in named if one.default is one.empty]
        listed = ", ".join(one.name for one in named[:_NAMED]) + (", …" if len(named) > _NAMED else "")
        example = ", ".join(f'"{name}": …' for name in needed or [one.name for one in named[:1]])
        hint = f"it takes {listed}: --kwargs '{{{example}}}'" if named else "it takes no arguments: leave out --kwargs"
        raise LayerError(f"{target}: {exc}", hint) from exc
