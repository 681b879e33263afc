"""From an archive to the records that describe the model."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.common.dynamic_quantization import one_scale
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.formats.torchscript.describe.archive import Archive, Shell, TensorStub
from kmr_cli.formats.torchscript.describe.code import Code, dotted, type_name
from kmr_cli.formats.torchscript.describe.constants import check as check_constants
from kmr_cli.formats.torchscript.describe.flow import Flow, Follower
from kmr_cli.formats.torchscript.describe.interface import (
    argument_notes,
    arguments_of,
    input_value,
    left_at_default,
    optional_inputs,
    outputs,
    specs,
    takes_values,
)
from kmr_cli.formats.torchscript.describe.operators import OperatorNames
from kmr_cli.formats.torchscript.describe.signature import Argument, leaves
from kmr_cli.records import LayerInfo, ModelInfo, TensorSpec

FORWARD = "forward"
_MAX_DEPTH = 200
_MAX_LAYERS = 50_000
_DYNAMIC = ".quantized.dynamic."
"""In the names of modules whose scales are found at run time."""


@dataclass(frozen=True)
class Description:
    """What a file tells.

    Attributes:
        info: the records.
        arguments: how the method is fed.
        method: the one that is run, ``forward`` mostly.
        operators: the layers are operators of the method: the model has no submodule that is called.
        helpers: calls of these methods, (path, method), aren't calls of the layer.
        has_method: whether it can be called at all.
        optimized: its weights are in the form of a device's library, which torch writes but does not read.
    """

    info: ModelInfo
    arguments: tuple[Argument, ...]
    operators: bool
    helpers: frozenset[tuple[str, str]] = frozenset()
    has_method: bool = True
    optimized: bool = False
    method: str = FORWARD


@dataclass(frozen=True)
class _Node:
    path: str
    kind: str
    shell: Shell | None


def describe_archive(archive: Archive, name: str, options: OpenOptions | None = None) -> Description:
    """Everything that the file's structure and code tell about the model.

    Args:
        archive: as read.
        name: of the file.
        options: which method, and what it is fed.

    Raises:
        ModelFileError: modules that hold each other without end; no such method, or no such argument of it.
    """
    options = options or OpenOptions()
    method = options.method or FORWARD
    code = Code(archive.code)
    nodes = list(islice(_modules(archive.root, code), _MAX_LAYERS + 1))
    if len(nodes) > _MAX_LAYERS:
        raise ModelFileError(f"{name}: its modules hold each other in more than {_MAX_LAYERS} ways")
    methods = _methods(archive, code)
    if options.method is not None and method not in methods:
        has = ", ".join(methods) or "none"
        raise ModelFileError(f"{name}: the module has no method {method!r}", f"its methods: {has}")
    forward, constants = methods.get(method), dict(options.constants or ())
    notes = [f"the code of {namespace} could not be parsed" for namespace in code.unreadable]
    arguments: tuple[Argument, ...] = ()
    flow = Flow(complete=False)
    inputs: tuple[TensorSpec, ...] = ()
    operators = False
    if forward is not None:
        parameters = forward.args.args[1:]
        check_constants(constants, parameters, name, method)
        values = [input_value(code, each.arg, each.annotation, options.given) for each in parameters]
        flow = Follower(archive, code).follow(forward, values)
        operators = flow.complete and not flow.methods
        if operators:
            taken = [node.path for node in nodes]
            flow = Follower(archive, code, OperatorNames(taken)).follow(forward, values)
        arguments = arguments_of(forward, values, constants)
        fed = [value for each, value in zip(parameters, values, strict=True) if each.arg not in constants]
        inputs = tuple(specs(fed))
        notes += argument_notes(arguments, method)
    optimized = any("ConstantMKLDNNTensor" in text for text in archive.code.values())
    if optimized:
        notes.append("optimized for inference: torch cannot load it")
    ways = tuple(("method", other) for other in _entries(methods) if other != method and takes_values(methods[other]))
    if forward is None:
        notes.append("the module has no method forward: nothing can be run without --method")
    elif not flow.complete:
        notes.append("the code could not be followed: how often a layer runs shows only in a run")
    if operators and flow.operators:
        notes.append(f"no submodules are called (a frozen or functional model): layers are the operators of {method}")
    notes += [f"the code asks for the device {device}" for device in sorted(flow.devices) if device != "cpu"]
    notes += [f"the method {other!r} is not run: --method {other}" for _, other in ways]
    layers = [_layer(node, code, flow, method) for node in nodes]
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
        outputs=tuple(outputs(flow.result, forward, code)),
        layers=tuple(layers),
        parameters=_count(_all_parameters(archive, code, operators)),
        separator=".",
        free_dims=False,
        notes=tuple(notes),
        trains=tuple(node.path for node in nodes if _trains(node, code)),
        optional=tuple(optional_inputs(arguments)),
        ways=ways,
        way=method,
        unseen=tuple(left_at_default(arguments, method)),
        unfit=_unfit(name, forward, method, inputs, [*leaves(arguments)], ways),
    )
    return Description(info, arguments, operators, flow.helpers(), forward is not None, optimized, method)


def _unfit(
    name: str,
    forward: ast.FunctionDef | None,
    method: str,
    inputs: Sequence[TensorSpec],
    fed: Sequence[Argument],
    ways: Sequence[tuple[str, str]],
) -> tuple[str, str | None] | None:
    """Why the method takes no batch, and what to do."""
    others = [other for _, other in ways]
    if forward is None:
        has = f", but {' and '.join(others)}" if others else ""
        hint = f"--method {others[0]} runs that one" if others else "save a module around it whose forward calls it"
        return f"{name}: the module has no method {method}{has}", hint
    if not inputs and fed:
        who = ", ".join(f"{one.name!r} ({one.annotation})" for one in fed)
        return f"{name}: {method} takes no tensor, but {who}", "save a module around it whose forward takes tensors"
    if not inputs:
        hint = f"--method {others[0]} runs another one" if others else "save a module around it that takes the batch"
        return f"{name}: its method {method} takes no tensor", hint
    return None


def _methods(archive: Archive, code: Code) -> dict[str, ast.FunctionDef]:
    known = code.classes.get(archive.root.kind)
    found = known.methods if known is not None else {}
    return {name: method for name, method in found.items() if not name.startswith("__")}


def _entries(methods: Mapping[str, ast.FunctionDef]) -> list[str]:
    """Methods that were exported: those that no other one calls, or torch would not have compiled them."""
    called = {
        part.func.attr
        for name, method in methods.items()
        for part in ast.walk(method)
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr != name
        and isinstance(part.func.value, ast.Name) and part.func.value.id == "self"
    }  # fmt: skip
    return [name for name in methods if name not in called]


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


def _trains(node: _Node, code: Code) -> bool:
    """Whether a layer that behaves differently in training was saved in that mode."""
    kind, attributes = type_name(node.kind), node.shell.attributes if node.shell is not None else {}
    if attributes.get("training") is not True or ".torch.nn.modules.transformer." in node.kind:
        return False  # a transformer's own code takes another way in training, and does the same on it
    if "InstanceNorm" in kind:  # its moving statistics are used in inference, where it has any
        return isinstance(attributes.get("running_mean"), TensorStub)
    share = attributes.get("dropout")
    if isinstance(share, float):  # of recurrent layers and attention
        return share > 0
    known = code.classes.get(node.kind)
    parts = [part for method in (known.methods.values() if known else ()) for part in ast.walk(method)]
    calls = [part for part in parts if isinstance(part, ast.Call) and dotted(part.func) in _RECURRENT]
    if calls:  # the share that is dropped is the only number with a point among what they are given
        return any(share > 0 for call in calls for share in _floats(call))
    asks = any(isinstance(part, ast.Attribute) and part.attr == "training" for part in parts)
    return "BatchNorm" in kind or "Dropout" in kind or asks


_RECURRENT = frozenset({"torch.lstm", "torch.gru", "torch.rnn_tanh", "torch.rnn_relu"})


def _floats(call: ast.Call) -> list[float]:
    values = [each.value for each in call.args if isinstance(each, ast.Constant)]
    return [value for value in values if isinstance(value, float)]


def _layer(node: _Node, code: Code, flow: Flow, method: str) -> LayerInfo:
    calls = flow.calls(node.path) if flow.complete else None
    own = _parameters(node.shell, code)
    return LayerInfo(
        path=node.path,
        type=type_name(node.kind),
        dtype=own[0].dtype if own else None,
        parameters=_count(own),
        calls=calls,
        untappable=f"never called in {method}" if calls == 0 else None,
        mixes=one_scale(type_name(node.kind)) if _DYNAMIC in node.kind else None,
    )


def _parameters(shell: Shell | None, code: Code) -> list[TensorStub]:
    """The parameters of a module and of all modules inside it."""
    found: list[TensorStub] = []
    pending = [shell] if shell is not None else []
    seen: set[int] = set()
    while pending:
        inner = pending.pop(0)
        if id(inner) not in seen:
            seen.add(id(inner))
            found += _own_parameters(inner, code)
            pending += _shells(inner.state)
    return found


def _own_parameters(shell: Shell, code: Code) -> Iterator[TensorStub]:
    known = code.classes.get(shell.kind)
    if known is not None and known.base == "Module" and shell.attributes:
        for name in known.parameters:
            value = shell.attributes.get(name)
            if isinstance(value, TensorStub):
                yield value
    else:  # packed weights: an object that wrote its own state
        yield from _tensors(shell.state)


def _tensors(state: object) -> Iterator[TensorStub]:
    """The tensors in nested lists and dictionaries, in order."""
    return (value for value in _reachable(state) if isinstance(value, TensorStub))


def _shells(state: object) -> list[Shell]:
    return [value for value in _reachable(state) if isinstance(value, Shell)]


def _reachable(state: object) -> Iterator[object]:
    """Everything in nested lists and dictionaries, each object once: a pickle can refer to one many times."""
    pending, seen = [state], set()
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        if isinstance(value, dict):
            pending.extend(reversed(list(value.values())))
        elif isinstance(value, (list, tuple)):
            pending.extend(reversed(value))


def _all_parameters(archive: Archive, code: Code, operators: bool) -> list[TensorStub]:
    found = _parameters(archive.root, code)
    if operators:  # freezing has turned the parameters into constants
        found += [stub for stub in _tensors(archive.constants) if stub.shape and stub.is_floating]
    return found


def _count(stubs: list[TensorStub]) -> int:
    """Scalars, each stored tensor counted once."""
    return sum(stub.size for stub in {stub.identity: stub for stub in stubs}.values())
