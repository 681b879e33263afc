"""From an archive to the records that describe the model."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kmr_cli.formats.torchscript.archive import Archive, Shell, TensorStub
from kmr_cli.formats.torchscript.code import Code, dotted, source_type, type_name
from kmr_cli.formats.torchscript.facts import InputFacts, Tracked
from kmr_cli.formats.torchscript.flow import Flow, Follower, InputGroup, Value
from kmr_cli.formats.torchscript.operators import OperatorNames
from kmr_cli.formats.torchscript.signature import Argument
from kmr_cli.records import LayerInfo, ModelInfo, TensorSpec

NEVER_CALLED = "never called in forward"
_MAX_DEPTH = 200


@dataclass(frozen=True)
class Description:
    """What a file tells.

    Attributes:
        info: the records.
        arguments: how ``forward`` is fed.
        operators: the layers are operators of ``forward``: the model has no submodule that is called.
    """

    info: ModelInfo
    arguments: tuple[Argument, ...]
    operators: bool


@dataclass(frozen=True)
class _Node:
    path: str
    kind: str
    shell: Shell | None


def describe_archive(archive: Archive, name: str) -> Description:
    """Everything that the file's structure and code tell about the model.

    Args:
        archive: as read.
        name: of the file.
    """
    code = Code(archive.code)
    nodes = list(_modules(archive.root, code))
    forward = _forward(archive, code)
    notes = [f"the code of {namespace} could not be parsed" for namespace in code.unreadable]
    arguments: tuple[Argument, ...] = ()
    flow = Flow(complete=False)
    inputs: tuple[TensorSpec, ...] = ()
    operators = False
    if forward is not None:
        values = [_input(code, parameter) for parameter in forward.args.args[1:]]
        flow = Follower(archive, code).follow(forward, values)
        operators = flow.complete and not flow.calls
        if operators:
            taken = [node.path for node in nodes]
            flow = Follower(archive, code, OperatorNames(taken)).follow(forward, values)
        arguments = _arguments(forward, values)
        inputs = tuple(_specs(values))
        notes += _argument_notes(arguments)
    if not flow.complete:
        notes.append("the code could not be followed: how often a layer runs shows only in a run")
    if operators and flow.operators:
        notes.append("no submodules are called (a frozen or functional model): layers are the operators of forward")
    notes += [f"the code asks for the device {device}" for device in sorted(flow.devices) if device != "cpu"]
    layers = [_layer(node, code, flow) for node in nodes]
    layers += [
        LayerInfo(
            call.path, call.operator, dtype=call.dtype, parameters=call.parameters, calls=1 if call.certain else None
        )
        for call in flow.operators
    ]
    info = ModelInfo(
        path=name,
        format="torchscript",
        writer=f"PyTorch (TorchScript archive version {archive.version})",
        inputs=inputs,
        outputs=tuple(_outputs(flow.result, forward, code)),
        layers=tuple(layers),
        parameters=_count(_all_parameters(archive, nodes, code, operators)),
        separator=".",
        free_dims=False,
        notes=tuple(notes),
    )
    return Description(info, arguments, operators)


def _forward(archive: Archive, code: Code) -> ast.FunctionDef | None:
    known = code.classes.get(archive.root.kind)
    return known.methods.get("forward") if known is not None else None


def _modules(root: Shell, code: Code) -> Iterator[_Node]:
    """Every submodule by every path that leads to it, a parent before its children."""

    def below(shell: Shell | None, kind: str, path: str, above: tuple[str, ...]) -> Iterator[_Node]:
        if len(above) > _MAX_DEPTH:
            return
        known = code.classes.get(kind)
        attributes = shell.attributes if shell is not None else {}
        names = list(dict.fromkeys([*(known.attributes if known is not None else ()), *attributes]))
        for name in names:
            value = attributes.get(name)
            if isinstance(value, Shell):
                child_kind, child = value.kind, value
                if not code.is_module(child_kind) and child_kind in code.classes:
                    continue
                if child_kind not in code.classes and not _looks_like_module(value):
                    continue
            else:
                annotation = known.attributes.get(name) if known is not None else None
                child_kind, child = (dotted(annotation) if annotation is not None else None) or "", None
                if name in attributes or not code.is_module(child_kind):
                    continue
            where = f"{path}.{name}" if path else name
            yield _Node(where, child_kind, child)
            if child_kind not in above or child is not None:
                yield from below(child, child_kind, where, (*above, child_kind))

    yield from below(root, root.kind, "", ())


def _looks_like_module(shell: Shell) -> bool:
    return "training" in shell.attributes and not shell.kind.startswith("__torch__.torch.classes.")


def _layer(node: _Node, code: Code, flow: Flow) -> LayerInfo:
    calls = flow.calls.get(node.path, 0) if flow.complete else None
    below = list(_Below(node, code).parameters())
    own = [stub for _, stub in below]
    return LayerInfo(
        path=node.path,
        type=type_name(node.kind),
        dtype=own[0].dtype if own else None,
        parameters=_count(own),
        calls=calls,
        untappable=NEVER_CALLED if calls == 0 else None,
    )


class _Below:
    """The parameters of a module and of all modules inside it."""

    def __init__(self, node: _Node, code: Code) -> None:
        self.node = node
        self.code = code

    def parameters(self) -> Iterator[tuple[str, TensorStub]]:
        if self.node.shell is None:
            return
        pending = [self.node.shell]
        seen: set[int] = set()
        while pending:
            shell = pending.pop(0)
            if id(shell) in seen:
                continue
            seen.add(id(shell))
            yield from _own_parameters(shell, self.code)
            pending += _shells(shell.state)


def _own_parameters(shell: Shell, code: Code) -> Iterator[tuple[str, TensorStub]]:
    known = code.classes.get(shell.kind)
    if known is not None and known.base == "Module" and shell.attributes:
        for name in known.parameters:
            value = shell.attributes.get(name)
            if isinstance(value, TensorStub):
                yield name, value
    else:  # packed weights: an object that wrote its own state
        for number, value in enumerate(_tensors(shell.state)):
            yield str(number), value


def _tensors(state: object) -> Iterator[TensorStub]:
    if isinstance(state, TensorStub):
        yield state
    elif isinstance(state, (list, tuple)):
        for value in state:
            yield from _tensors(value)
    elif isinstance(state, dict):
        for value in state.values():
            yield from _tensors(value)


def _shells(state: object) -> list[Shell]:
    if isinstance(state, Shell):
        return [state]
    if isinstance(state, dict):
        state = list(state.values())
    if isinstance(state, (list, tuple)):
        return [shell for value in state for shell in _shells(value)]
    return []


def _all_parameters(archive: Archive, nodes: list[_Node], code: Code, operators: bool) -> list[TensorStub]:
    root = _Node("", archive.root.kind, archive.root)
    found = [stub for _, stub in _Below(root, code).parameters()]
    if operators:  # freezing has turned the parameters into constants
        found += [stub for stub in _tensors(archive.constants) if stub.shape and _is_floating(stub)]
    return found


def _is_floating(stub: TensorStub) -> bool:
    return (stub.dtype or "").startswith(("float", "bfloat16", "complex", "q"))


def _count(stubs: list[TensorStub]) -> int:
    """Scalars, each stored tensor counted once."""
    return sum(stub.size for stub in {stub.identity: stub for stub in stubs}.values())


# Inputs


def _input(code: Code, parameter: ast.arg) -> Value:
    """The value that stands for an argument of ``forward`` while its code is followed."""
    return _input_value(code, parameter.arg, parameter.annotation)


def _input_value(code: Code, name: str, annotation: ast.expr | None) -> Value:
    kind, members = _kind(annotation)
    if kind == "Tensor":
        return Value(tensor=True, tracked=Tracked(InputFacts(name)), annotation=annotation)
    if kind == "Tuple":
        items = tuple(_input_value(code, f"{name}.{place}", member) for place, member in enumerate(members))
        return Value(tensor=any(item.tensor for item in items), items=items, annotation=annotation)
    if kind in ("List", "Dict") and code.holds_tensor(members[-1]):
        return Value(tensor=True, group=InputGroup(name, members[-1]), annotation=annotation)
    known = code.classes.get(kind)
    if known is not None and known.base == "NamedTuple":
        items = tuple(_input_value(code, f"{name}.{field}", member) for field, member in known.attributes.items())
        return Value(tensor=True, items=items, keys=tuple(known.attributes), annotation=annotation)
    return Value(tensor=code.holds_tensor(annotation), annotation=annotation)


def _kind(annotation: ast.expr | None) -> tuple[str, list[ast.expr]]:
    """The outermost name of a type and its parameters."""
    if isinstance(annotation, ast.Subscript):
        inner = annotation.slice
        members = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
        return dotted(annotation.value) or "", members
    return (dotted(annotation) or "" if annotation is not None else "Tensor"), []


def _arguments(forward: ast.FunctionDef, values: list[Value]) -> tuple[Argument, ...]:
    parameters = forward.args.args[1:]
    without_default = len(parameters) - len(forward.args.defaults)
    found = []
    for place, (parameter, value) in enumerate(zip(parameters, values, strict=True)):
        argument = _argument(parameter.arg, value)
        if place >= without_default and argument.kind in ("none", "unsupported"):
            argument = replace(argument, kind="default")
        found.append(argument)
    return tuple(found)


def _argument(name: str, value: Value) -> Argument:
    annotation = ast.unparse(value.annotation) if value.annotation is not None else "Tensor"
    if value.tracked is not None:
        return Argument(value.tracked.facts.name, "tensor", annotation=annotation)
    if value.items is not None:
        parts = tuple(_argument(f"{name}.{place}", item) for place, item in enumerate(value.items))
        return Argument(name, "tuple", parts, annotation=annotation)
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


def _specs(values: list[Value]) -> Iterator[TensorSpec]:
    for value in values:
        if value.tracked is not None:
            yield value.tracked.facts.spec()
        elif value.items is not None:
            yield from _specs(list(value.items))
        elif value.group is not None:
            members = value.group.members
            keys = sorted(members) if all(isinstance(key, int) for key in members) else list(members)
            yield from _specs([members[key] for key in keys])


def _argument_notes(arguments: tuple[Argument, ...]) -> Iterator[str]:
    for argument in arguments:
        if argument.kind in ("none", "default"):
            yield f"forward's optional argument {argument.name!r} ({argument.annotation}) is left out"
        elif argument.kind == "unsupported":
            yield f"forward's argument {argument.name!r} ({argument.annotation}) cannot be fed"
        else:
            yield from _argument_notes(tuple(part for part in argument.parts if part.kind != "none"))


# Outputs


def _outputs(result: Value, forward: ast.FunctionDef | None, code: Code) -> Iterator[TensorSpec]:
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
    for place in range(count or 0):
        yield TensorSpec(f"out{place}")


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


def source_of(kind: str) -> str:
    """The Python class that a type was made from: ``torch.nn.modules.conv.Conv2d``."""
    return source_type(kind)
