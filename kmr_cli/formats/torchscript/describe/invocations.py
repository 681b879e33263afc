"""Calls, while the code of a method or function is followed: of modules, functions, operators and classes."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from kmr_cli.formats.torchscript.describe import facts
from kmr_cli.formats.torchscript.describe.code import dotted
from kmr_cli.formats.torchscript.describe.expressions import Expressions
from kmr_cli.formats.torchscript.describe.facts import UNKNOWN
from kmr_cli.formats.torchscript.describe.operators import gives_tensor, is_listed
from kmr_cli.formats.torchscript.describe.values import (
    VAGUE_TENSOR,
    Value,
    either,
    stubs,
)

_OF_EACH = frozenset({"len", "stack"})
"""Operators that look at every tensor of a list."""


class Calls(Expressions):
    """Expressions, and the calls among them."""

    def call(self, node: ast.Call) -> Value:
        """What a call returns: of a module, a function, an operator or a class."""
        name = dotted(node.func)
        if name is not None and name.partition(".")[0] in self.scope:
            name = None  # a variable, even if a layer of that name made it look like torch.something
        if name in ("annotate", "unchecked_cast") and len(node.args) == 2:
            return self.value(node.args[1])
        if name == "uninitialized" and node.args:
            return self.of_type(node.args[0])
        if name == "getattr" and len(node.args) == 2 and isinstance(node.args[1], ast.Constant):
            return self.member_of(self.value(node.args[0]), str(node.args[1].value))
        if name == "fork" and node.args:
            return self._fork(self.value(node.args[0]))
        if name is not None and name.startswith(("torch.", "ops.")):
            return self._operator(name, node)
        if name is not None and name.startswith("__torch__.") and name in self.follower.code.classes:
            return self._construct(name, node)
        if isinstance(node.func, ast.Attribute):
            owner = self.value(node.func.value)
            if owner.modules:
                return self._call_method(owner, node.func.attr, node)
        function = self.value(node.func).function
        arguments, keywords = self._arguments(node)
        if function is not None:
            self._list(node, function[0].name, arguments, keywords)
            return self.follower.run_method(
                function[0], arguments, keywords, certain=self.certain, own=None, outer=function[1]
            )
        holds = any(value.tensor for value in (*arguments, *keywords.values()))
        constant: Any = UNKNOWN
        if name == "bool" and arguments and arguments[0].constant is not UNKNOWN:
            constant = bool(arguments[0].constant)
        return Value(
            tensor=holds and name not in ("bool", "int", "float", "complex", "str", "range"), constant=constant
        )

    def _fork(self, task: Value) -> Value:
        if task.function is None:
            return VAGUE_TENSOR
        function, outer = task.function
        return self.follower.run_method(function, [], {}, certain=self.certain, own=self.own, outer=outer, nested=False)

    def _arguments(self, node: ast.Call) -> tuple[list[Value], dict[str, Value]]:
        arguments = [self.value(argument) for argument in node.args]
        keywords = {keyword.arg: self.value(keyword.value) for keyword in node.keywords if keyword.arg is not None}
        return arguments, keywords

    def _call_method(self, owner: Value, method: str, node: ast.Call) -> Value:
        arguments, keywords = self._arguments(node)
        results = []
        for module in owner.modules:
            certain = self.certain and len(owner.modules) == 1
            if module.path != self.own:
                self.follower.count(module, method, certain=certain)
            elif not module.path:
                self._list(node, method, arguments, keywords)
            results.append(self.follower.call_module(module, method, arguments, keywords, certain=certain))
        result = results[0]
        for other in results[1:]:
            result = either(result, other)
        return result

    def _list(self, node: ast.Call, name: str, arguments: list[Value], keywords: dict[str, Value]) -> None:
        """List a call of a function, or of another method of the root, as one operator."""
        if not (self.follower.lists_operators and self.follower.at_top):
            return
        values = [*arguments, *keywords.values()]
        if any(value.tensor for value in values) and self._returns_tensor(node):
            self.follower.list_operator(name, values, certain=self.certain)

    def _returns_tensor(self, node: ast.Call) -> bool:
        code = self.follower.code
        name = dotted(node.func)
        if isinstance(node.func, ast.Attribute) and not (name or "").startswith("__torch__."):
            known = code.classes.get(self.follower.archive.root.kind)
            definition = known.methods.get(node.func.attr) if known is not None else None
        else:
            function = self.value(node.func).function
            definition = function[0] if function is not None else None
        return definition is None or code.holds_tensor(definition.returns)

    def _construct(self, name: str, node: ast.Call) -> Value:
        arguments, keywords = self._arguments(node)
        known = self.follower.code.classes[name]
        holds = any(value.tensor for value in (*arguments, *keywords.values()))
        if known.base == "NamedTuple":
            return Value(tensor=holds, items=tuple(arguments), keys=tuple(known.attributes)[: len(arguments)])
        return Value(tensor=False)

    def _operator(self, name: str, node: ast.Call) -> Value:
        parts = name.split(".")
        namespace, operator = ("aten", parts[-1]) if parts[0] == "torch" else (parts[1], parts[-1])
        arguments, keywords = self._arguments(node)
        values = [*arguments, *keywords.values()]
        holds = any(value.tensor for value in values)
        result = gives_tensor(namespace, operator, holds)
        if holds and result and is_listed(namespace, operator):
            self.follower.list_operator(operator, values, certain=self.certain)
        if operator in _OF_EACH and arguments and arguments[0].group is not None:
            arguments[0].group.note_each()
        if operator == "wait" and arguments:
            return arguments[0]
        if operator == "device" and arguments and isinstance(arguments[0].constant, str):
            self.follower.note_device(arguments[0].constant)
        constant = _folded(operator, arguments)
        tracked = None
        if namespace == "aten":
            tracked = facts.apply(operator, [_as_argument(value) for value in arguments], firm=self.certain)
        if namespace == "quantized" and operator.startswith("linear_dynamic") and arguments and arguments[0].tracked:
            arguments[0].tracked.learn_dtype("float32", firm=self.certain)
        return Value(tensor=result, constant=constant, tracked=tracked)


def _as_argument(value: Value) -> facts.Argument:
    return facts.Argument(value.tracked, tuple(stubs(value)), value.constant, value.tensor, value.steps)


def _folded(operator: str, arguments: Sequence[Value]) -> Any:
    """The value of a comparison whose outcome the code decides, else ``UNKNOWN``."""
    constants = [value.constant for value in arguments]
    if operator == "__not__" and len(constants) == 1 and constants[0] is not UNKNOWN:
        return not constants[0]
    if operator in ("__is__", "__isnot__") and len(arguments) == 2 and constants[1] is None:
        first = arguments[0]
        if first.constant is None:
            return operator == "__is__"
        fed = first.tracked is not None or first.group is not None
        if fed or first.items is not None or first.stub is not None or first.constant is not UNKNOWN:
            return operator == "__isnot__"
    return UNKNOWN
