"""A module's code, run node by node at several batch sizes at once.

Each node runs as the operator of its own schema, and what is Python there (numbers, lists, branches, loops) is Python
here. What the code asks of the number of samples is answered only where the answer is the same at every batch size: no
path is taken for granted because it was the one of a recording.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from kmr_cli.formats.torchscript.run import instrument
from kmr_cli.formats.torchscript.run.calls import CallStack
from kmr_cli.formats.torchscript.run.lockstep import NotFollowedError, Tensor
from kmr_cli.formats.torchscript.run.python_nodes import NUMBERS_OF_TENSORS, ON_PLAIN_VALUES, PRIMITIVES
from kmr_cli.formats.torchscript.run.recording import Recording

_MOST_NODES = 50_000
"""More than any real model runs in one pass; a node takes a fraction of a millisecond."""


@dataclass(frozen=True)
class Module:
    """A module as a value of the code.

    Attributes:
        handle: torch's.
        path: by which it was reached.
    """

    handle: Any
    path: str


class Interpreter:
    """Runs methods of a module's code.

    Args:
        loaded: with our operators in its graphs, which report calls of layers.
        recording: runs and writes down the others.
        stack: what ours report to.
    """

    def __init__(self, loaded: instrument.Loaded, recording: Recording, stack: CallStack) -> None:
        self.functions: Mapping[str, Any] = loaded.functions
        self.recording = recording
        self.stack = stack
        self._left = _MOST_NODES

    def method(self, owner: Module, name: str, arguments: Sequence[Any]) -> Any:
        """What a method returns."""
        return _Frame(self).run(instrument.graph_of(owner.handle, name), [owner, *arguments])

    def spend(self) -> None:
        """Count a node."""
        self._left -= 1
        if self._left < 0:
            raise NotFollowedError(f"it runs more than {_MOST_NODES} operations")


class _Frame:
    """The values of one call of a method, a function or a task."""

    def __init__(self, whole: Interpreter) -> None:
        self._whole = whole
        self._values: dict[str, Any] = {}

    def run(self, graph: Any, arguments: Sequence[Any]) -> Any:
        """What a graph returns."""
        results = self._block(graph, arguments)
        return results[0] if len(results) == 1 else tuple(results)

    def _block(self, block: Any, arguments: Sequence[Any]) -> list[Any]:
        inputs = list(block.inputs())
        if len(inputs) != len(arguments):
            raise NotFollowedError("its code takes a different number of arguments")
        for value, argument in zip(inputs, arguments, strict=True):
            self._values[value.debugName()] = argument
        for node in block.nodes():
            self._whole.spend()
            made = self._node(node, self._of(node.inputs()))
            outputs = list(node.outputs())
            for value, result in zip(outputs, [made] if len(outputs) == 1 else made or (), strict=True):
                self._values[value.debugName()] = result
        return self._of(block.outputs())

    def _of(self, values: Any) -> list[Any]:
        return [self._values[value.debugName()] for value in values]

    def _node(self, node: Any, given: list[Any]) -> Any:
        kind = node.kind()
        if kind in _STRUCTURES:
            return _STRUCTURES[kind](self, node, given)
        if kind in PRIMITIVES:
            return PRIMITIVES[kind](node, given)
        space, _, plain = kind.partition("::")
        if space == "kmr":
            return self._report(plain, given)
        if plain in NUMBERS_OF_TENSORS:
            given = [self._whole.recording.number(given[0])]
        if plain in ON_PLAIN_VALUES and not any(isinstance(one, Tensor) for one in given[:2]):
            return ON_PLAIN_VALUES[plain](*given)
        return self._operator(node, given)

    def _report(self, name: str, given: list[Any]) -> tuple[()]:
        """One of our operators."""
        getattr(self._whole.stack, name)(*(one.handle if isinstance(one, Module) else one for one in given))
        return ()

    def _constant(self, node: Any, _: list[Any]) -> Any:
        """A number in a tensor is a number: traces have sizes and what is done to them so."""
        output = node.output()
        function = str(output.type())
        if function in self._whole.functions:
            return self._whole.functions[function]
        value = _in_python(output.toIValue, "one of its constants")
        if not hasattr(value, "dim"):
            return value
        return value.item() if value.dim() == 0 else self._whole.recording.weight("constant", value, fixed=True)

    def _attribute(self, node: Any, given: list[Any]) -> Any:
        (owner,), name = given, node.s("name")
        if not isinstance(owner, Module):
            return getattr(owner, name)
        path = f"{owner.path}.{name}" if owner.path else name
        inside = instrument.members(owner.handle)
        if name in inside:
            return Module(inside[name], path)
        value = _in_python(partial(owner.handle.getattr, name), repr(path))
        return self._held(value, path, fixed=name in instrument.parameters(owner.handle))

    def _held(self, value: Any, path: str, *, fixed: bool) -> Any:
        """What a module holds; ``fixed``: the code does not write to it."""
        if hasattr(value, "dim"):
            return self._whole.recording.weight(path, value, fixed=fixed)
        if isinstance(value, (list, tuple)):
            return type(value)(self._held(one, f"{path}.{place}", fixed=fixed) for place, one in enumerate(value))
        if isinstance(value, dict):
            return {key: self._held(one, f"{path}.{key}", fixed=fixed) for key, one in value.items()}
        return value

    def _item(self, _: Any, given: list[Any]) -> Any:
        container, index = given
        inside = instrument.members(container.handle)
        name = index if isinstance(index, str) else list(inside)[index]
        return Module(inside[name], f"{container.path}.{name}" if container.path else name)

    def _method(self, node: Any, given: list[Any]) -> Any:
        owner, *arguments = given
        if not isinstance(owner, Module):
            raise NotFollowedError(f"it calls {node.s('name')} on an object that isn't a module")
        return self._whole.method(owner, node.s("name"), arguments)

    def _function(self, _: Any, given: list[Any]) -> Any:
        return _Frame(self._whole).run(given[0].graph, given[1:])

    def _fork(self, node: Any, given: list[Any]) -> Any:
        """A task, which runs at once: so do those of every pass."""
        return _Frame(self._whole).run(node.g("Subgraph"), given)

    def _branch(self, node: Any, given: list[Any]) -> Any:
        then, otherwise = node.blocks()
        return _several(self._block(then if self._is_true(given[0]) else otherwise, []))

    def _loop(self, node: Any, given: list[Any]) -> Any:
        body = next(node.blocks())
        most, going, *values = given
        turn = 0
        while self._is_true(going) and turn < most:
            going, *values = self._block(body, [turn, *values])
            turn += 1
        return _several(values)

    def _is_true(self, value: Any) -> bool:
        return bool(self._whole.recording.number(value))

    def _operator(self, node: Any, given: list[Any]) -> Any:
        """The operator of a node, by its own schema, on what it is given."""
        import torch

        full, _, _ = node.schema().partition("(")
        if not full.strip():
            raise NotFollowedError(f"{node.kind()} exists in TorchScript only")
        name, _, overload = full.partition(".")
        space, _, plain = name.partition("::")
        try:
            operator = getattr(getattr(getattr(torch.ops, space), plain), overload or "default")
        except AttributeError:
            raise NotFollowedError(f"{full} exists in TorchScript only") from None
        if len(operator._schema.arguments) != len(given):
            raise NotFollowedError(f"{full} takes other arguments in this release of torch")
        self._whole.recording.place = self._whole.stack.now
        return self._whole.recording.run(operator, given)


def _in_python(read: Callable[[], Any], where: str) -> Any:
    """A value of the code; members of an Enum have none here, as their class isn't imported."""
    try:
        return read()
    except RuntimeError:
        raise NotFollowedError(
            f"{where} holds a value that only TorchScript has, such as a member of an Enum"
        ) from None


def _several(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


_STRUCTURES: dict[str, Callable[[_Frame, Any, list[Any]], Any]] = {
    "prim::Constant": _Frame._constant,
    "prim::GetAttr": _Frame._attribute,
    "prim::ModuleContainerIndex": _Frame._item,
    "prim::CallMethod": _Frame._method,
    "prim::CallFunction": _Frame._function,
    "prim::fork": _Frame._fork,
    "prim::If": _Frame._branch,
    "prim::Loop": _Frame._loop,
}
