"""Arguments that a user gives a value for, which is the same for the whole batch."""

from __future__ import annotations

import ast
import json
import shlex
from collections.abc import Mapping
from typing import Any

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.torchscript.describe.code import dotted

_NUMBERS = {"int": (int,), "float": (int, float), "number": (int, float), "bool": (bool,), "str": (str,)}


def check(values: Mapping[str, Any], parameters: list[ast.arg], name: str, method: str) -> None:
    """Refuse what the arguments of a method do not take.

    Args:
        values: by the name of the argument.
        parameters: of the method, without ``self``.
        name: of the file.
        method: its name.

    Raises:
        ModelFileError: no such argument, or one of another type.
    """
    declared = {parameter.arg: parameter.annotation for parameter in parameters}
    for argument, value in values.items():
        if argument not in declared:
            takes = ", ".join(map(repr, declared)) or "none"
            raise ModelFileError(f"{name}: {method} has no argument {argument!r}", f"its arguments: {takes}")
        annotation = declared[argument]
        if not _fits(value, annotation):
            kind = ast.unparse(annotation) if annotation is not None else "Tensor"
            problem = f"{name}: {method}'s argument {argument!r} is of type {kind}, not {value!r}"
            raise ModelFileError(problem, how_to_give(argument, annotation))


def how_to_give(argument: str, annotation: ast.expr | None) -> str:
    """What to type for an argument that is the same for the whole batch."""
    value = _example(annotation)
    if value is None:
        return "save a module around it whose forward takes tensors, numbers or text"
    return f"--constant {shlex.quote(f'{argument}={json.dumps(value)}')} gives one"


def can_be_given(annotation: ast.expr | None) -> bool:
    """Whether some text stands for a value of this type."""
    return _example(annotation) is not None


def _example(annotation: ast.expr | None) -> Any:
    """A value of a type; None where no text stands for any."""
    if isinstance(annotation, ast.Subscript):
        inner = annotation.slice
        members = [_example(one) for one in (inner.elts if isinstance(inner, ast.Tuple) else [inner])]
        outer = dotted(annotation.value)
        if outer in ("Optional", "Union"):
            return members[0]
        return None if outer not in ("List", "Tuple") or None in members else members * (2 if outer == "List" else 1)
    kind = "Tensor" if annotation is None else dotted(annotation)
    return {"int": 2, "float": 0.5, "number": 0.5, "bool": True, "str": "2", "Tensor": 0.5}.get(kind or "")


def _fits(value: Any, annotation: ast.expr | None) -> bool:
    if isinstance(annotation, ast.Subscript):
        inner = annotation.slice
        members = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
        outer = dotted(annotation.value)
        if outer == "Optional":
            return value is None or _fits(value, members[0])
        if outer == "Union":
            return any(_fits(value, member) for member in members)
        if outer in ("List", "Tuple") and isinstance(value, tuple):
            members = members * len(value) if outer == "List" else members
            return len(members) == len(value) and all(map(_fits, value, members))
        return False
    kind = "Tensor" if annotation is None else dotted(annotation)
    if kind == "NoneType":
        return value is None
    if kind == "Tensor":
        return isinstance(value, (bool, int, float)) or (isinstance(value, tuple) and all(map(_is_number, value)))
    wanted = _NUMBERS.get(kind or "", ())
    return isinstance(value, wanted) and (kind == "bool" or not isinstance(value, bool))


def _is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float)) or (isinstance(value, tuple) and all(map(_is_number, value)))


def as_fed(value: Any, annotation: ast.expr | None) -> Any:
    """The value as TorchScript takes it: lists where lists are declared, a float where one is."""
    if isinstance(annotation, ast.Subscript):
        inner = annotation.slice
        members = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
        outer = dotted(annotation.value)
        if outer == "Optional" and value is not None:
            return as_fed(value, members[0])
        if outer == "List":
            return [as_fed(each, members[0]) for each in value]
        if outer == "Tuple":
            return tuple(as_fed(each, member) for each, member in zip(value, members, strict=True))
        return value
    if annotation is not None and dotted(annotation) == "float":
        return float(value)
    return value


def is_tensor(annotation: ast.expr | None) -> bool:
    """Whether the argument is declared as a tensor, so that its value has to become one."""
    if isinstance(annotation, ast.Subscript) and dotted(annotation.value) == "Optional":
        return is_tensor(annotation.slice)
    return annotation is None or dotted(annotation) == "Tensor"
