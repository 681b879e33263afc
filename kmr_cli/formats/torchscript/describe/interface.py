"""What goes into ``forward`` and what comes out of it, by name."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from kmr_cli.formats.torchscript.describe import constants as constants_
from kmr_cli.formats.torchscript.describe.code import Code, dotted
from kmr_cli.formats.torchscript.describe.input_facts import InputFacts, Tracked
from kmr_cli.formats.torchscript.describe.signature import Argument, Kind
from kmr_cli.formats.torchscript.describe.values import InputGroup, Value
from kmr_cli.records import TensorSpec


def input_value(code: Code, name: str, annotation: ast.expr | None, given: Collection[str] = ()) -> Value:
    """The value that stands for an argument of ``forward`` while its code is followed.

    Args:
        code: of the file.
        name: of the argument.
        annotation: its type.
        given: names of inputs that are fed although the model runs without, or in another form than the usual one.
    """
    kind, members = _kind(annotation)
    if kind == "Optional" and name in given:
        return input_value(code, name, members[0], given)
    if kind == "Tensor":
        return Value(tensor=True, tracked=Tracked(InputFacts(name)), annotation=annotation)
    if kind == "Tuple":
        items = tuple(input_value(code, f"{name}.{place}", member) for place, member in enumerate(members))
        return Value(tensor=any(item.tensor for item in items), items=items, annotation=annotation)
    if kind in ("List", "Dict") and code.holds_tensor(members[-1]):
        group = InputGroup(name, members[-1])
        if kind == "List" and dotted(members[-1]) == "Tensor":
            _as_given(group, given)
        return Value(tensor=True, group=group, annotation=annotation)
    known = code.classes.get(kind)
    if known is not None and known.base == "NamedTuple":
        items = tuple(input_value(code, f"{name}.{field}", member) for field, member in known.attributes.items())
        return Value(tensor=True, items=items, keys=tuple(known.attributes), annotation=annotation)
    return Value(tensor=code.holds_tensor(annotation), annotation=annotation)


def _as_given(group: InputGroup, given: Collection[str]) -> None:
    """Note what the user says of a list: that it holds one tensor a sample, or which members it has."""
    if group.name in given:
        group.note_each()
        group.each = True if group.each else None
        return
    count = sum(name.startswith(f"{group.name}.") for name in given)
    for place in range(count):
        name = f"{group.name}.{place}"
        group.members[place] = Value(tensor=True, tracked=Tracked(InputFacts(name)), annotation=group.member)
        group.each = None


def _kind(annotation: ast.expr | None) -> tuple[str, list[ast.expr]]:
    """The outermost name of a type and its parameters."""
    if isinstance(annotation, ast.Subscript):
        inner = annotation.slice
        members = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
        return dotted(annotation.value) or "", members
    return (dotted(annotation) or "" if annotation is not None else "Tensor"), []


def arguments_of(
    forward: ast.FunctionDef, values: list[Value], constants: Mapping[str, Any] | None = None
) -> tuple[Argument, ...]:
    """How every argument is fed, after the code has been followed with ``values`` for them."""
    parameters = forward.args.args[1:]
    without_default = len(parameters) - len(forward.args.defaults)
    found = []
    for place, (parameter, value) in enumerate(zip(parameters, values, strict=True)):
        if constants and parameter.arg in constants:
            found.append(_constant(parameter, constants[parameter.arg]))
            continue
        argument = _argument(parameter.arg, value)
        if place >= without_default and argument.kind in ("none", "unsupported"):
            argument = replace(argument, kind="default")
        found.append(argument)
    return tuple(found)


def _constant(parameter: ast.arg, value: Any) -> Argument:
    annotation = ast.unparse(parameter.annotation) if parameter.annotation is not None else "Tensor"
    kind: Kind = "tensor" if constants_.is_tensor(parameter.annotation) and value is not None else "constant"
    fed = constants_.as_fed(value, parameter.annotation)
    return Argument(parameter.arg, kind, annotation=annotation, value=fed)


def _argument(name: str, value: Value) -> Argument:
    annotation = ast.unparse(value.annotation) if value.annotation is not None else "Tensor"
    if value.tracked is not None:
        return Argument(value.tracked.facts.name, "tensor", annotation=annotation)
    if value.items is not None and value.tensor:
        parts = tuple(_argument(f"{name}.{place}", item) for place, item in enumerate(value.items))
        return Argument(name, "tuple", parts, annotation=annotation)
    if value.group is not None and value.group.each:
        return Argument(name, "each", annotation=annotation)
    if value.group is not None and value.group.members:
        members = value.group.members
        if all(isinstance(key, str) for key in members):
            parts = tuple(_argument(f"{name}.{key}", member) for key, member in members.items())
            return Argument(name, "dict", parts, tuple(members), annotation=annotation)
        if all(isinstance(key, int) for key in members):
            count = max(members) + 1
            if set(members) == set(range(count)):
                parts = tuple(_argument(f"{name}.{place}", members[place]) for place in range(count))
                return Argument(name, "list", parts, annotation=annotation)
    if annotation.startswith("Optional[") or annotation == "NoneType":
        return Argument(name, "none", annotation=annotation)
    return Argument(name, "unsupported", annotation=annotation)


def specs(values: list[Value]) -> Iterator[TensorSpec]:
    """The input tensors, in the order of the arguments, with what the code told about them."""
    for value in values:
        if value.tracked is not None:
            yield value.tracked.facts.spec()
        elif value.items is not None:
            yield from specs(list(value.items))
        elif value.group is not None and value.group.each:
            yield TensorSpec(value.group.name)
        elif value.group is not None:
            members = value.group.members
            keys = sorted(members) if all(isinstance(key, int) for key in members) else list(members)
            yield from specs([members[key] for key in keys])


def optional_inputs(arguments: tuple[Argument, ...]) -> Iterator[str]:
    """Inputs that are fed only where the batch names them; ``NAME.*`` for the members of a list."""
    for argument in arguments:
        if argument.kind in ("none", "default") and argument.annotation == "Optional[Tensor]":
            yield argument.name
        elif argument.annotation == "List[Tensor]":
            yield from (argument.name, f"{argument.name}.*")


def takes_values(method: ast.FunctionDef) -> bool:
    """Whether a method takes more than numbers: only then may what it is given hold samples."""
    annotations = [each.annotation for each in method.args.args[1:]]
    parts = [part for one in annotations if one is not None for part in ast.walk(one)]
    named = {dotted(part) for part in parts if isinstance(part, (ast.Name, ast.Attribute))}
    return None in annotations or not named <= _NUMBERS


_NUMBERS = frozenset({"int", "float", "bool", "number", "NoneType", "Optional", "List", "Tuple", "Union"})


def argument_notes(arguments: tuple[Argument, ...], method: str) -> Iterator[str]:
    """One line for every argument that is not fed, or in a way that has to be said."""
    for argument in arguments:
        who, name = f"argument {argument.name!r} ({argument.annotation})", argument.name
        if argument.kind in ("none", "default"):
            how = f"--input {name}=FILE" if argument.annotation == "Optional[Tensor]" else _constantly(argument)
            yield f"{method}'s optional {who} is left out{how and f'; {how} gives it'}"
        elif argument.kind == "unsupported":
            yield f"{method}'s {who} cannot be fed from a batch; {how_to_feed(argument)}"
        elif argument.kind == "each":
            yield f"{method}'s {who} is fed one tensor a sample; {name}.0, {name}.1, … are inputs that hold all samples"
        else:
            yield from argument_notes(tuple(part for part in argument.parts if part.kind != "none"), method)


def how_to_feed(argument: Argument) -> str:
    """What to type for an argument that no batch can feed."""
    name = argument.name
    if argument.annotation == "List[Tensor]":
        return f"--input {name}=FILE feeds a list with one tensor a sample, --input {name}.0=FILE … its members"
    if how := _constantly(argument):
        return f"{how} gives it"
    return "save a module around it whose forward takes tensors"


def _constantly(argument: Argument) -> str:
    """The option that gives an argument one value for the whole batch; empty where no text stands for one."""
    text = argument.annotation
    able = "Tensor" not in text and constants_.can_be_given(ast.parse(text, mode="eval").body)
    return f"--constant {argument.name}=VALUE" if able and "." not in argument.name else ""


def left_at_default(arguments: tuple[Argument, ...], method: str) -> Iterator[str]:
    """What an answer may depend on, and no pass tries: one line, if anything."""
    names = [repr(one.name) for one in arguments if one.kind in ("none", "default")]
    if names:
        yield f"values of {method}'s optional argument{'s' if len(names) > 1 else ''} {', '.join(names)}, left out here"


def outputs(result: Value, forward: ast.FunctionDef | None, code: Code) -> Iterator[TensorSpec]:
    """What ``forward`` returns, named as a run names it; nothing where the number of tensors is not known."""
    if forward is None:
        return
    if result.keys is None and isinstance(forward.returns, ast.expr):
        known = code.classes.get(dotted(forward.returns) or "")
        if known is not None and known.base == "NamedTuple":
            result = Value(tensor=True, items=tuple(_of(code, kind) for kind in known.attributes.values()),
                           keys=tuple(known.attributes))  # fmt: skip
    if result.items is not None and result.keys is not None:
        for key, item in zip(result.keys, result.items, strict=True):
            count = _tensor_count(item, None, code)
            if count is None or not isinstance(key, str):
                return
            for place in range(count):
                yield TensorSpec(key if count == 1 else f"{key}.{place}")
        return
    count = _tensor_count(result, forward.returns, code)
    if count is None:
        return
    yield from (TensorSpec(f"out{place}") for place in range(count))
    kind, members = _kind(forward.returns)
    if kind != "Tuple":
        yield from _plain_outputs("value0", forward.returns)
        return
    for place, member in enumerate(members):
        yield from _plain_outputs(f"value{place}", member)


_PLAIN = {"bool": "bool", "int": "int64", "float": "float64", "str": "string"}
"""Types of values beside tensors, and the dtypes that a run gives them."""


def _plain_outputs(name: str, annotation: ast.expr | None) -> Iterator[TensorSpec]:
    """Numbers and text, named as :func:`kmr_cli.formats.common.plain_values.plain_values` names them."""
    kind, members = _kind(annotation)
    if kind in _PLAIN:
        yield TensorSpec(name, (), _PLAIN[kind])
    elif kind == "List" and dotted(members[0]) in _PLAIN:
        yield TensorSpec(name, None, _PLAIN[dotted(members[0]) or ""])
    elif kind == "Tuple":
        for place, member in enumerate(members):
            yield from _plain_outputs(f"{name}.value{place}", member)


def _of(code: Code, annotation: ast.expr) -> Value:
    return Value(tensor=code.holds_tensor(annotation), annotation=annotation)


def _tensor_count(value: Value, annotation: ast.expr | None, code: Code) -> int | None:
    """How many tensors a value is made of; None where only a run can tell."""
    if value.items is not None:
        counts = [_tensor_count(item, None, code) for item in value.items]
        return None if None in counts else sum(count for count in counts if count is not None)
    kind, members = _kind(annotation if annotation is not None else value.annotation)
    if not value.tensor and annotation is None:
        return 0
    if kind == "Tensor":
        return 1
    if kind == "Tuple":
        counts = [_tensor_count(_of(code, member), member, code) for member in members]
        return None if None in counts else sum(count for count in counts if count is not None)
    return 0 if not code.holds_tensor(annotation or value.annotation) else None
