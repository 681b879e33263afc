"""Arguments with the default None, as ``torch.jit.script`` can compile them.

Without a type it takes such an argument for a tensor, compiles it, and then fails to save the module. Types are read
from source text, so that the text is what must say more.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import linecache
import textwrap
import types
from collections.abc import Collection, Iterator
from typing import Any, TypeAlias

UNTYPED = "an argument has the default None and no type"
Classes: TypeAlias = "list[tuple[Any, type]]"
"""Modules and the class that each had."""
TYPE_IT = "give it one, such as mask: Optional[torch.Tensor] = None"


def is_untyped(error: Exception) -> bool:
    """Whether this is how torch fails on such an argument: when it saves the module, or compiles a call without it."""
    return any(words in str(error) for words in ("undefined Tensor", "Unsupported value kind: Tensor"))


def declare(module: Any, fed: Collection[str]) -> Classes:
    """Give every untyped argument with the default None the type ``Optional[Tensor]``, on this object alone.

    Methods whose source text cannot be had or changed stay as they are.

    Args:
        module: a ``torch.nn.Module``; it and the modules inside it change their class to one with the same name.
        fed: arguments of its ``forward`` that will be fed: those with the default None lose it, or scripting would
            let them be left out. See :func:`left_out`.

    Returns:
        What :func:`restore` takes.
    """
    had: Classes = []
    for inner in list(module.modules()):
        kind = type(inner)
        if kind.__module__.partition(".")[0] == "torch":
            continue
        changed = {}
        for name, method in _methods(kind):
            wanted = fed if inner is module and name == "forward" else ()
            if any(_is_concerned(parameter, wanted) for parameter in inspect.signature(method).parameters.values()):
                with contextlib.suppress(OSError, TypeError, ValueError, SyntaxError):  # no source text, mostly
                    changed[name] = _with_types(method, wanted)
        if changed:
            had.append((inner, kind))
            inner.__class__ = type(
                kind.__name__, (kind,), {"__module__": kind.__module__, "__qualname__": kind.__qualname__, **changed}
            )
    return had


def restore(classes: Classes) -> None:
    """Undo :func:`declare`."""
    for inner, kind in classes:
        inner.__class__ = kind


def left_out(module: Any, fed: Collection[str]) -> set[str]:
    """Arguments among ``fed`` that have the default None, so that scripting would leave them out."""
    parameters = inspect.signature(module.forward).parameters
    return {name for name in fed if name in parameters and parameters[name].default is None}


def _methods(kind: type) -> Iterator[tuple[str, types.FunctionType]]:
    """Functions of the user's own classes that can be written anew from their text."""
    for name in {name for base in kind.__mro__ if base.__module__.partition(".")[0] != "torch" for name in vars(base)}:
        method = inspect.getattr_static(kind, name)
        special = name.startswith("__") or hasattr(method, "__wrapped__")
        if isinstance(method, types.FunctionType) and not special and method.__closure__ is None:
            yield name, method


def _is_concerned(parameter: inspect.Parameter, fed: Collection[str]) -> bool:
    return parameter.default is None and (parameter.annotation is parameter.empty or parameter.name in fed)


def _with_types(method: types.FunctionType, fed: Collection[str]) -> types.FunctionType:
    """The same method from a text that says more.

    Raises:
        OSError, TypeError, ValueError, SyntaxError: there is no such text.
    """
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(method))).body
    if not isinstance(definition, ast.FunctionDef):
        raise TypeError("no plain function")
    if any(_is_private(node) for node in ast.walk(definition)):
        raise ValueError("names that mean something else outside of the class")
    definition.decorator_list = []
    parameters = inspect.signature(method).parameters
    taken = definition.args
    required: list[ast.arg] = []
    optional: list[ast.arg] = []
    for argument in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs):
        parameter = parameters[argument.arg]
        if _is_concerned(parameter, fed):
            argument.annotation = _type(argument.annotation, optional=argument.arg not in fed)
        if parameter.default is parameter.empty or (parameter.default is None and argument.arg in fed):
            required.append(argument)
        else:
            optional.append(argument)
    none = ast.Constant(value=None)  # the values themselves are put in below
    taken.posonlyargs, taken.args, taken.kwonlyargs = [], [*required, *optional], []  # by keyword: not compiled
    taken.defaults, taken.kw_defaults = [none] * len(optional), []
    text = ast.unparse(ast.fix_missing_locations(definition)) + "\n"
    file = f"<{method.__module__}.{method.__qualname__} with types>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)  # where torch reads it
    made: dict[str, Any] = {}
    exec(compile(text, file, "exec"), method.__globals__, made)  # noqa: S102  (the user's own code; annotations stay text)
    function: types.FunctionType = made[definition.name]
    function.__defaults__ = tuple(parameters[argument.arg].default for argument in optional) or None
    function.__dict__.update(method.__dict__)  # what torch.jit.export and ignore leave behind
    function.__qualname__, function.__module__ = method.__qualname__, method.__module__
    return function


def _is_private(node: ast.AST) -> bool:
    """Whether Python puts the name of the class in front of an identifier here: ``self.__scale``."""
    names = [getattr(node, field, None) for field in ("id", "attr", "arg", "name")]
    return any(isinstance(name, str) and name.startswith("__") and not name.endswith("__") for name in names)


def _type(annotation: ast.expr | None, *, optional: bool) -> ast.expr:
    """``Optional[Tensor]`` where there is none; what is inside of ``Optional`` where the argument is always fed."""
    if annotation is None:
        return ast.parse("Optional[Tensor]" if optional else "Tensor", mode="eval").body
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value).endswith("Optional"):
        return annotation.slice
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        sides = [side for side in (annotation.left, annotation.right) if ast.unparse(side) != "None"]
        if len(sides) == 1:
            return sides[0]
    return annotation
