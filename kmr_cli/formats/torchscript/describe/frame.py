"""One method or function while its code is followed: its variables, statements and expressions."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from kmr_cli.formats.torchscript.describe import facts
from kmr_cli.formats.torchscript.describe.archive import Archive
from kmr_cli.formats.torchscript.describe.code import Code, dotted
from kmr_cli.formats.torchscript.describe.facts import UNKNOWN
from kmr_cli.formats.torchscript.describe.input_facts import InputFacts, Tracked
from kmr_cli.formats.torchscript.describe.operators import gives_tensor, is_listed
from kmr_cli.formats.torchscript.describe.values import (
    VAGUE,
    VAGUE_TENSOR,
    InputGroup,
    ModuleAt,
    Value,
    blurred,
    either,
    stored,
    stubs,
)


class Followed(Protocol):
    """What a frame needs from the one that follows a whole model (``flow.Follower`` says what each does)."""

    archive: Archive
    code: Code

    @property
    def lists_operators(self) -> bool:
        """Whether operators are listed."""

    @property
    def at_top(self) -> bool:
        """Whether what is followed now is ``forward`` of the root itself."""

    def spend(self) -> None:
        """Count one expression."""

    def child(self, module: ModuleAt, name: str) -> Value | None:
        """A module's attribute."""

    def function(self, name: str) -> ast.FunctionDef | None:
        """A function at the top level of the code."""

    def count(self, module: ModuleAt, method: str, *, certain: bool) -> None:
        """Note a call of a submodule."""

    def list_operator(self, operator: str, arguments: Sequence[Value], *, certain: bool) -> None:
        """Give an operator a name."""

    def note_device(self, device: str) -> None:
        """Note a device that the code demands."""

    def call_module(
        self, module: ModuleAt, method: str, arguments: list[Value], keywords: dict[str, Value], *, certain: bool
    ) -> Value:
        """Follow a method of a module."""

    def run_method(
        self,
        method: ast.FunctionDef,
        arguments: Sequence[Value],
        keywords: dict[str, Value],
        *,
        certain: bool,
        own: str | None,
        outer: dict[str, Value] | None = None,
        nested: bool = True,
    ) -> Value:
        """Follow a method or function."""


class Frame:
    """One method or function while it is followed.

    Args:
        follower: keeps what is found.
        scope: the variables.
        certain: it runs in every pass, as often as it is followed.
        own: path of the module whose method this is, None for a function.

    Attributes:
        result: what it returns, None before the return.
    """

    def __init__(self, follower: Followed, scope: dict[str, Value], certain: bool, own: str | None) -> None:
        self.follower = follower
        self.scope = scope
        self.certain = certain
        self.own = own
        self.result: Value | None = None

    # Statements

    def block(self, statements: Sequence[ast.stmt]) -> None:
        """Follow statements in order."""
        for statement in statements:
            self.follower.spend()
            if isinstance(statement, ast.Assign):
                value = self.value(statement.value)
                for target in statement.targets:
                    self._assign(target, value)
            elif isinstance(statement, ast.AnnAssign):
                if statement.value is not None:
                    self._assign(statement.target, self.value(statement.value))
            elif isinstance(statement, ast.Expr):
                self.value(statement.value)
            elif isinstance(statement, ast.Return):
                self._return(self.value(statement.value) if statement.value is not None else VAGUE)
            elif isinstance(statement, ast.If):
                self._if(statement)
            elif isinstance(statement, (ast.While, ast.For)):
                self._loop(statement)
            elif isinstance(statement, ast.FunctionDef):
                self.scope[statement.name] = Value(function=(statement, self.scope))
            elif isinstance(statement, ast.With):
                for item in statement.items:
                    self.value(item.context_expr)
                self.block(statement.body)

    def _return(self, value: Value) -> None:
        self.result = value if self.result is None else either(self.result, value)

    def _assign(self, target: ast.expr, value: Value) -> None:
        if isinstance(target, ast.Name):
            self.scope[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            parts = self._unpacked(value, len(target.elts))
            for inner, part in zip(target.elts, parts, strict=True):
                self._assign(inner, part)
        elif isinstance(target, ast.Subscript):
            self.value(target.value)
            self.value(target.slice)
        elif isinstance(target, ast.Attribute):
            self.value(target.value)

    def _unpacked(self, value: Value, count: int) -> list[Value]:
        if value.items is not None and len(value.items) == count:
            return list(value.items)
        if value.group is not None:
            return [self._member(value.group, place) for place in range(count)]
        if value.annotation is not None:
            return [self._of_type(kind) for kind in _member_types(value.annotation, count)]
        return [Value(tensor=value.tensor)] * count

    def _if(self, statement: ast.If) -> None:
        test = self.value(statement.test).constant
        if test is not UNKNOWN and not self.follower.lists_operators:
            self.block(statement.body if test else statement.orelse)
            return
        # A branch that raises is not taken by a run that succeeds, so the other one is.
        raises = [_raises(branch) for branch in (statement.body, statement.orelse)]
        before, ends = dict(self.scope), []
        for branch, ends_in_error, other_raises in zip(
            (statement.body, statement.orelse), raises, reversed(raises), strict=True
        ):
            self.scope.clear()
            self.scope.update(before)
            certain, self.certain = self.certain, self.certain and other_raises and not ends_in_error
            self.block(branch)
            self.certain = certain
            if not ends_in_error:
                ends.append(dict(self.scope))
        ends = ends or [dict(self.scope)]
        merged = ends[0]
        for end in ends[1:]:
            for name, value in end.items():
                merged[name] = either(merged[name], value) if name in merged else value
        self.scope.clear()
        self.scope.update(merged)

    def _loop(self, statement: ast.While | ast.For) -> None:
        if isinstance(statement, ast.For):
            sequence = self.value(statement.iter)
            if sequence.group is not None:
                sequence.group.note_each()
            self._assign(statement.target, Value(tensor=sequence.tensor))
        for name in _assigned_names(statement.body):
            if name in self.scope:
                self.scope[name] = blurred(self.scope[name])
        if isinstance(statement, ast.While):
            self.value(statement.test)
        certain, self.certain = self.certain, False
        before = dict(self.scope)
        self.block(statement.body)
        self.certain = certain
        for name, value in before.items():
            self.scope[name] = either(value, self.scope[name])

    # Expressions

    def value(self, node: ast.expr) -> Value:
        """What is known of an expression's value."""
        self.follower.spend()
        if isinstance(node, ast.Name):
            return self.scope.get(node.id, VAGUE)
        if isinstance(node, ast.Constant):
            return Value(constant=node.value)
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, (ast.Tuple, ast.List)):
            items = tuple(self.value(item) for item in node.elts)
            constant = [item.constant for item in items]
            known = UNKNOWN if any(part is UNKNOWN for part in constant) else constant
            return Value(tensor=any(item.tensor for item in items), items=items, constant=known)
        if isinstance(node, ast.Dict):
            keys = tuple(self.value(key).constant for key in node.keys if key is not None)
            items = tuple(self.value(item) for item in node.values)
            return Value(tensor=any(item.tensor for item in items), items=items, keys=keys)
        if isinstance(node, ast.Subscript):
            return self._item(self.value(node.value), self.value(node.slice))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            number = self.value(node.operand).constant
            return Value(constant=-number if isinstance(number, (int, float)) else UNKNOWN)
        for child in ast.iter_child_nodes(node):  # nothing else carries modules, but calls may be inside
            if isinstance(child, ast.expr):
                self.value(child)
        return VAGUE

    def _attribute(self, node: ast.Attribute) -> Value:
        name = dotted(node)
        if name is not None and name.startswith("CONSTANTS.c"):
            number = name.removeprefix("CONSTANTS.c")
            constants = self.follower.archive.constants
            return stored(constants[int(number)]) if number.isdigit() and int(number) < len(constants) else VAGUE
        if name is not None and name.startswith("__torch__."):
            function = self.follower.function(name)
            return Value(function=(function, None)) if function is not None else VAGUE
        return self._member_of(self.value(node.value), node.attr)

    def _member_of(self, owner: Value, name: str) -> Value:
        found = [value for module in owner.modules if (value := self.follower.child(module, name)) is not None]
        if found:
            result = found[0]
            for value in found[1:]:
                result = either(result, value)
            return result
        if owner.items is not None and owner.keys is not None and name in owner.keys:
            return owner.items[owner.keys.index(name)]
        return VAGUE

    def _item(self, owner: Value, index: Value) -> Value:
        key = index.constant
        if owner.modules:
            chosen: list[ModuleAt] = []
            for module in owner.modules:
                children = self._children(module)
                exact = [child for name, child in children if key is not UNKNOWN and name == str(key)]
                chosen += exact or [child for _, child in children]
            return Value(modules=tuple(chosen))
        if owner.group is not None and isinstance(key, (str, int)):
            return self._member(owner.group, key)
        if owner.group is not None:
            owner.group.note_each()
        if owner.items is not None and key is not UNKNOWN:
            if owner.keys is not None and key in owner.keys:
                return owner.items[owner.keys.index(key)]
            # A named tuple is indexed by position too; no dictionary with text for keys is.
            by_position = owner.keys is None or all(isinstance(name, str) for name in owner.keys)
            if by_position and isinstance(key, int) and -len(owner.items) <= key < len(owner.items):
                return owner.items[key]
        if owner.items is not None:
            modules = tuple(module for item in owner.items for module in item.modules)
            return Value(tensor=owner.tensor, modules=modules)
        return Value(tensor=owner.tensor)

    def _children(self, module: ModuleAt) -> list[tuple[str, ModuleAt]]:
        known = self.follower.code.classes.get(module.kind)
        names = list(known.attributes) if known is not None else []
        found = [(name, self.follower.child(module, name)) for name in names]
        return [(name, value.modules[0]) for name, value in found if value is not None and value.modules]

    def _member(self, group: InputGroup, key: Any) -> Value:
        if key not in group.members:
            name = f"{group.name}.{key}"
            value = self._of_type(group.member)
            if dotted(group.member) == "Tensor":
                value = replace(value, tracked=Tracked(InputFacts(name)))
            group.members[key] = value
        return group.members[key]

    def _of_type(self, annotation: ast.expr | None) -> Value:
        return Value(tensor=self.follower.code.holds_tensor(annotation), annotation=annotation)

    # Calls

    def _call(self, node: ast.Call) -> Value:
        name = dotted(node.func)
        if name is not None and name.partition(".")[0] in self.scope:
            name = None  # a variable, even if a layer of that name made it look like torch.something
        if name in ("annotate", "unchecked_cast") and len(node.args) == 2:
            return self.value(node.args[1])
        if name == "uninitialized" and node.args:
            return self._of_type(node.args[0])
        if name == "getattr" and len(node.args) == 2 and isinstance(node.args[1], ast.Constant):
            return self._member_of(self.value(node.args[0]), str(node.args[1].value))
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


_OF_EACH = frozenset({"len", "stack"})
"""Operators that look at every tensor of a list."""


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


def _raises(statements: Sequence[ast.stmt]) -> bool:
    return any(
        isinstance(statement, ast.Raise)
        or (
            isinstance(statement, ast.Expr)
            and isinstance(statement.value, ast.Call)
            and dotted(statement.value.func) == "ops.prim.RaiseException"
        )
        for statement in statements
    )


def _assigned_names(statements: Sequence[ast.stmt]) -> set[str]:
    return {
        node.id
        for statement in statements
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _member_types(annotation: ast.expr, count: int) -> list[ast.expr | None]:
    """Types of the members of a tuple or list type."""
    if isinstance(annotation, ast.Subscript):
        inner = annotation.slice
        if dotted(annotation.value) == "Tuple" and isinstance(inner, ast.Tuple) and len(inner.elts) == count:
            return list(inner.elts)
        if dotted(annotation.value) == "List":
            return [inner] * count
    return [annotation] * count
