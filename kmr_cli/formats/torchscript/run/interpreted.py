"""A scripted or traced module as an eager one: its code, run node by node, so that torch can export it.

Each node runs as the operator of its own schema, and what is Python there (numbers, lists, branches, loops) is Python
here. So whatever the code asks of the number of samples is asked of torch's symbolic sizes, and an export in which
something depends on the answer fails: no path is taken for granted because it was the one of a recording.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from kmr_cli.formats.torchscript.run import instrument
from kmr_cli.formats.torchscript.run.python_nodes import ON_PLAIN_VALUES, PRIMITIVES, NotFollowedError


def interpreted(script: Any, functions: Mapping[str, Any], method: str = "forward") -> Any:
    """An eager module with the names, weights and code of a scripted one; so are its submodules.

    Args:
        script: which has not been instrumented.
        functions: of its file, by qualified name.
        method: that a call of it runs.
    """
    made = _Modules(functions).of(script)
    made.entry = method
    return made


class _Modules:
    """The eager modules made so far: a shared one stays shared."""

    def __init__(self, functions: Mapping[str, Any]) -> None:
        self._functions = functions
        self._known: dict[int, Any] = {}

    def of(self, script: Any) -> Any:
        """The one for a scripted module."""
        found = self._known.get(instrument.identity(script))
        return self._made(script) if found is None else found

    def _made(self, script: Any) -> Any:
        from torch import nn

        made = _kind()(script, self._functions)
        self._known[instrument.identity(script)] = made
        # Not by attribute: names of the file may be those of methods.
        for name, child in script.named_children():
            made._modules[name] = self.of(child)
        for name, parameter in script.named_parameters(recurse=False):
            made._parameters[name] = nn.Parameter(parameter.detach(), requires_grad=parameter.requires_grad)
        for name, buffer in script.named_buffers(recurse=False):
            made._buffers[name] = buffer.detach()
        return made


@cache
def _kind() -> Any:
    from torch import nn

    class Interpreted(nn.Module):  # type: ignore[misc]  # torch is Any here
        entry = "forward"

        def __init__(self, script: Any, functions: Mapping[str, Any]) -> None:
            super().__init__()
            self._code = (script, functions)  # in a tuple, torch takes it for no submodule

        def forward(self, *arguments: Any) -> Any:
            return self.method(self.entry, arguments)

        def method(self, name: str, arguments: Sequence[Any]) -> Any:
            """Run one of the methods of the scripted module."""
            script, functions = self._code
            return _Frame(functions).run(instrument.graph_of(script, name), [self, *arguments])

        def value(self, name: str) -> Any:
            """An attribute, as the code reads it."""
            for table in (self._modules, self._parameters, self._buffers):
                if name in table:
                    return table[name]
            return getattr(self._code[0], name)

    return Interpreted


class _Frame:
    """The values of one call of a method or function."""

    def __init__(self, functions: Mapping[str, Any]) -> None:
        self._functions = functions
        self._values: dict[str, Any] = {}

    def run(self, graph: Any, arguments: list[Any]) -> Any:
        """What a graph returns."""
        results = self._block(graph, arguments)
        return results[0] if len(results) == 1 else tuple(results)

    def _block(self, block: Any, arguments: list[Any]) -> list[Any]:
        inputs = list(block.inputs())
        if len(inputs) != len(arguments):
            raise NotFollowedError("its code takes a different number of arguments")
        for value, argument in zip(inputs, arguments, strict=True):
            self._values[value.debugName()] = argument
        for node in block.nodes():
            made = self._node(node, [self._values[value.debugName()] for value in node.inputs()])
            outputs = list(node.outputs())
            for value, result in zip(outputs, [made] if len(outputs) == 1 else made or (), strict=True):
                self._values[value.debugName()] = result
        return [self._values[value.debugName()] for value in block.outputs()]

    def _node(self, node: Any, given: list[Any]) -> Any:
        kind = node.kind()
        if kind == "prim::Constant":
            function = str(node.output().type())
            return self._functions[function] if function in self._functions else _constant(node.output().toIValue())
        if kind == "prim::GetAttr":
            (owner,) = given
            return owner.value(node.s("name")) if isinstance(owner, _kind()) else getattr(owner, node.s("name"))
        if kind == "prim::CallMethod":
            return _called(node.s("name"), *given)
        if kind == "prim::CallFunction":
            return _Frame(self._functions).run(given[0].graph, given[1:])
        if kind == "prim::If":
            then, otherwise = node.blocks()
            return _several(self._block(then if given[0] else otherwise, []))
        if kind == "prim::Loop":
            return self._loop(next(node.blocks()), *given)
        if kind in PRIMITIVES:
            return PRIMITIVES[kind](node, given)
        plain = kind.partition("::")[2]
        if plain in ON_PLAIN_VALUES and not _is_tensor(given[0]):
            return ON_PLAIN_VALUES[plain](*given)
        return _operator(node, given)

    def _loop(self, body: Any, most: Any, going: Any, *carried: Any) -> Any:
        values, turn = list(carried), 0
        while going and turn < most:
            going, *values = self._block(body, [turn, *values])
            turn += 1
        return _several(values)


def _several(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _called(name: str, owner: Any, *arguments: Any) -> Any:
    if not isinstance(owner, _kind()):
        raise NotFollowedError(f"it calls {name} on an object that isn't a module")
    return owner(*arguments) if name == "forward" else owner.method(name, arguments)


def _operator(node: Any, given: list[Any]) -> Any:
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
    arguments = operator._schema.arguments
    if len(arguments) != len(given):
        raise NotFollowedError(f"{full} takes other arguments in this release of torch")
    pairs = list(zip(arguments, given, strict=True))
    return operator(
        *(value for argument, value in pairs if not argument.kwarg_only),
        **{argument.name: value for argument, value in pairs if argument.kwarg_only},
    )


def _constant(value: Any) -> Any:
    """A number in a tensor is a number: traces have sizes and what is done to them so."""
    return value.item() if _is_tensor(value) and value.dim() == 0 else value


def _is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)
