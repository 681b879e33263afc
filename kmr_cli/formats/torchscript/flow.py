"""Follows the code of a TorchScript file without running it: which submodule is called, how often, with what.

Every call of a submodule is followed into that instance's own method, so that the count is per path. Both branches
of a condition are followed, and a loop's body once: what is called there has a count that only a run can tell.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kmr_cli.formats.torchscript import facts
from kmr_cli.formats.torchscript.archive import Archive, Shell, TensorStub
from kmr_cli.formats.torchscript.code import Code, dotted, names_in_annotation
from kmr_cli.formats.torchscript.facts import UNKNOWN, InputFacts, Tracked
from kmr_cli.formats.torchscript.operators import OperatorNames, gives_tensor, is_listed

_BUDGET = 3_000_000
"""Expressions to look at before giving up: calls can be nested so that their number doubles at every level."""
_MAX_DEPTH = 150


class TooMuch(Exception):  # noqa: N818  (handled here, never shown)
    """The code is too large or too deep to follow."""


@dataclass(frozen=True, eq=False)
class ModuleAt:
    """A submodule: its path from the root, its stored object, and its type."""

    path: str
    shell: Shell | None
    kind: str


@dataclass(frozen=True, eq=False)
class Value:
    """What is known of a value before a run.

    Attributes:
        tensor: it is or holds a tensor.
        modules: it is one of these submodules.
        items: it is a tuple, list or dictionary of these values.
        keys: of a dictionary or named tuple.
        constant: its value, else ``UNKNOWN``.
        tracked: it is an input tensor, perhaps with its axes permuted.
        stub: it is this stored tensor.
        function: it is this function, with the variables it sees (None for one at the top level).
        group: it is an input that is a dictionary or list, whose members are found as the code uses them.
        annotation: its declared type, where nothing more is known.
    """

    tensor: bool = False
    modules: tuple[ModuleAt, ...] = ()
    items: tuple[Value, ...] | None = None
    keys: tuple[Any, ...] | None = None
    constant: Any = UNKNOWN
    tracked: Tracked | None = None
    stub: TensorStub | None = None
    function: tuple[ast.FunctionDef, dict[str, Value] | None] | None = None
    group: InputGroup | None = None
    annotation: ast.expr | None = None


@dataclass(eq=False)
class InputGroup:
    """An input of ``forward`` that is a list or dictionary of tensors.

    Attributes:
        name: of the argument.
        member: the members' type.
        members: found so far, by key or position.
    """

    name: str
    member: ast.expr
    members: dict[Any, Value] = field(default_factory=dict)


@dataclass
class OperatorCall:
    """One operator in ``forward`` of a model without submodules."""

    path: str
    operator: str
    parameters: int
    certain: bool
    dtype: str | None


@dataclass
class Flow:
    """What following ``forward`` has found.

    Attributes:
        calls: by path, how often a submodule is called; None where only a run can tell.
        ranks: nothing is kept of layers' shapes yet but the dtype of their weights.
        operators: in order, if asked for.
        result: what ``forward`` returns.
        arguments: the values given to it.
        complete: the code was followed to its end.
        devices: device names that the code demands.
    """

    calls: dict[str, int | None] = field(default_factory=dict)
    operators: list[OperatorCall] = field(default_factory=list)
    result: Value = field(default_factory=Value)
    complete: bool = True
    devices: set[str] = field(default_factory=set)


VAGUE = Value()
_VAGUE_TENSOR = Value(tensor=True)


class Follower:
    """Follows methods.

    Args:
        archive: the file.
        code: its parsed code.
        name_operators: list the operators of ``forward`` itself under these names.
    """

    def __init__(self, archive: Archive, code: Code, name_operators: OperatorNames | None = None) -> None:
        self.archive = archive
        self.code = code
        self.flow = Flow()
        self._names = name_operators
        self._budget = _BUDGET
        self._depth = 0

    def follow(self, method: ast.FunctionDef, arguments: Sequence[Value]) -> Flow:
        """Follow ``forward`` of the root with the values given for its arguments (without ``self``)."""
        root = Value(modules=(ModuleAt("", self.archive.root, self.archive.root.kind),))
        try:
            self.flow.result = self._method(method, [root, *arguments], {}, certain=True, own="")
        except (TooMuch, RecursionError):
            self.flow.complete = False
        return self.flow

    def _method(
        self,
        method: ast.FunctionDef,
        arguments: Sequence[Value],
        keywords: dict[str, Value],
        *,
        certain: bool,
        own: str | None,
        outer: dict[str, Value] | None = None,
    ) -> Value:
        if self._depth >= _MAX_DEPTH:
            raise TooMuch
        parameters = method.args.args
        scope = dict(outer or {})
        defaults = method.args.defaults
        for place, parameter in enumerate(parameters):
            if place < len(arguments):
                value = arguments[place]
            elif parameter.arg in keywords:
                value = keywords[parameter.arg]
            else:
                index = place - (len(parameters) - len(defaults))
                value = _literal(defaults[index]) if 0 <= index < len(defaults) else VAGUE
            scope[parameter.arg] = value
        self._depth += 1
        try:
            frame = _Frame(self, scope, certain, own)
            frame.block(method.body)
        finally:
            self._depth -= 1
        result = frame.result
        if result is None or (not result.tensor and not result.modules and result.items is None):
            result = result or VAGUE
            if method.returns is not None and self.code.holds_tensor(method.returns):
                result = replace(result, tensor=True)
        return result

    def spend(self) -> None:
        """Count one expression.

        Raises:
            TooMuch: there were more than any real model has.
        """
        self._budget -= 1
        if self._budget < 0:
            raise TooMuch

    def call_module(
        self, module: ModuleAt, method: str, arguments: list[Value], keywords: dict[str, Value], *, certain: bool
    ) -> Value:
        """Follow a method of a submodule."""
        known = self.code.classes.get(module.kind)
        definition = known.methods.get(method) if known is not None else None
        if definition is None:
            return _VAGUE_TENSOR
        return self._method(
            definition, [Value(modules=(module,)), *arguments], keywords, certain=certain, own=module.path
        )

    def count(self, module: ModuleAt, method: str, *, certain: bool) -> None:
        """Note a call, if tensors go in or come out."""
        known = self.code.classes.get(module.kind)
        definition = known.methods.get(method) if known is not None else None
        if definition is not None:
            kinds = [parameter.annotation for parameter in definition.args.args[1:]]
            if not any(self.code.holds_tensor(kind) for kind in [*kinds, definition.returns]):
                return
        seen = self.flow.calls.get(module.path, 0)
        self.flow.calls[module.path] = seen + 1 if certain and seen is not None else None

    def function(self, name: str) -> ast.FunctionDef | None:
        """A function at the top level of the code, by its qualified name."""
        return self.code.functions.get(name)

    @property
    def at_top(self) -> bool:
        """Whether what is followed now is ``forward`` of the root itself."""
        return self._depth == 1

    def list_operator(self, operator: str, arguments: Sequence[Value], *, certain: bool) -> None:
        """Give an operator of ``forward`` a name, if operators are listed."""
        if self._names is None or not self.at_top:
            return
        stubs = [stub for value in arguments for stub in _stubs(value)]
        floating = [
            stub for stub in stubs if stub.shape and (stub.dtype or "float").startswith(("float", "bfloat", "c"))
        ]
        self.flow.operators.append(
            OperatorCall(
                self._names.next(operator),
                operator,
                sum(stub.size for stub in floating),
                certain,
                floating[0].dtype if floating else None,
            )
        )

    def child(self, module: ModuleAt, name: str) -> Value | None:
        """A submodule's or the root's attribute."""
        attributes = module.shell.attributes if module.shell is not None else {}
        known = self.code.classes.get(module.kind)
        annotation = known.attributes.get(name) if known is not None else None
        path = f"{module.path}.{name}" if module.path else name
        if name in attributes:
            value = attributes[name]
            if isinstance(value, Shell):
                if self.code.is_module(value.kind) or not self.code.classes.get(value.kind):
                    return Value(modules=(ModuleAt(path, value, value.kind),))
                return replace(VAGUE, annotation=annotation)
            if name == "training":
                return Value(constant=False)  # the model is put into eval mode
            return _stored(value)
        if annotation is not None:
            kind = dotted(annotation)
            if kind is not None and self.code.is_module(kind):
                return Value(modules=(ModuleAt(path, None, kind),))
            return Value(tensor=self.code.holds_tensor(annotation), annotation=annotation)
        return None


class _Frame:
    """One method or function while it is followed.

    Args:
        follower: keeps what is found.
        scope: the variables.
        certain: it runs in every pass, as often as it is followed.
        own: path of the module whose method this is, None for a function.

    Attributes:
        result: what it returns, None before the return.
    """

    def __init__(self, follower: Follower, scope: dict[str, Value], certain: bool, own: str | None) -> None:
        self.follower = follower
        self.scope = scope
        self.certain = certain
        self.own = own
        self.result: Value | None = None

    # Statements

    def block(self, statements: Sequence[ast.stmt]) -> None:
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
        self.result = value if self.result is None else _either(self.result, value)

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
        if test is not UNKNOWN and self.follower._names is None:
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
                merged[name] = _either(merged[name], value) if name in merged else value
        self.scope.clear()
        self.scope.update(merged)

    def _loop(self, statement: ast.While | ast.For) -> None:
        if isinstance(statement, ast.For):
            sequence = self.value(statement.iter)
            self._assign(statement.target, Value(tensor=sequence.tensor))
        for name in _assigned_names(statement.body):
            if name in self.scope:
                self.scope[name] = _blurred(self.scope[name])
        if isinstance(statement, ast.While):
            self.value(statement.test)
        certain, self.certain = self.certain, False
        before = dict(self.scope)
        self.block(statement.body)
        self.certain = certain
        for name, value in before.items():
            self.scope[name] = _either(value, self.scope[name])

    # Expressions

    def value(self, node: ast.expr) -> Value:
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
            return _stored(constants[int(number)]) if number.isdigit() and int(number) < len(constants) else VAGUE
        if name is not None and name.startswith("__torch__."):
            function = self.follower.function(name)
            return Value(function=(function, None)) if function is not None else VAGUE
        return self._member_of(self.value(node.value), node.attr)

    def _member_of(self, owner: Value, name: str) -> Value:
        found = [value for module in owner.modules if (value := self.follower.child(module, name)) is not None]
        if found:
            result = found[0]
            for value in found[1:]:
                result = _either(result, value)
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
        if owner.items is not None and key is not UNKNOWN:
            if owner.keys is not None and key in owner.keys:
                return owner.items[owner.keys.index(key)]
            if owner.keys is None and isinstance(key, int) and -len(owner.items) <= key < len(owner.items):
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
            return self._enter(function[0], arguments, keywords, function[1])
        holds = any(value.tensor for value in (*arguments, *keywords.values()))
        constant: Any = UNKNOWN
        if name == "bool" and arguments and arguments[0].constant is not UNKNOWN:
            constant = bool(arguments[0].constant)
        return Value(
            tensor=holds and name not in ("bool", "int", "float", "complex", "str", "range"), constant=constant
        )

    def _enter(
        self,
        function: ast.FunctionDef,
        arguments: list[Value],
        keywords: dict[str, Value],
        outer: dict[str, Value] | None,
    ) -> Value:
        own = self.own if outer is not None else None
        return self.follower._method(function, arguments, keywords, certain=self.certain, own=own, outer=outer)

    def _fork(self, task: Value) -> Value:
        if task.function is None:
            return _VAGUE_TENSOR
        function, outer = task.function
        # A task's code belongs to the method that forks it: its operators are that method's own.
        self.follower._depth -= 1
        try:
            return self._enter(function, [], {}, outer)
        finally:
            self.follower._depth += 1

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
            result = _either(result, other)
        return result

    def _list(self, node: ast.Call, name: str, arguments: list[Value], keywords: dict[str, Value]) -> None:
        """List a call of a function, or of another method of the root, as one operator."""
        if self.follower._names is None or not self.follower.at_top:
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
        if operator == "wait" and arguments:
            return arguments[0]
        if operator == "device" and arguments and isinstance(arguments[0].constant, str):
            self.follower.flow.devices.add(arguments[0].constant)
        constant = _folded(operator, arguments)
        tracked = facts.apply(operator, [_as_argument(value) for value in arguments]) if namespace == "aten" else None
        if namespace == "quantized" and operator.startswith("linear_dynamic") and arguments and arguments[0].tracked:
            arguments[0].tracked.learn_dtype("float32")
        return Value(tensor=result, constant=constant, tracked=tracked)


def _as_argument(value: Value) -> facts.Argument:
    stubs = tuple(_stubs(value))
    return facts.Argument(value.tracked, stubs, value.constant, value.tensor)


def _stubs(value: Value) -> list[TensorStub]:
    if value.stub is not None:
        return [value.stub]
    return [stub for item in value.items or () for stub in _stubs(item)]


def _stored(value: Any) -> Value:
    if isinstance(value, TensorStub):
        return Value(tensor=True, stub=value)
    if isinstance(value, (list, tuple)):
        items = tuple(_stored(item) for item in value)
        constant = UNKNOWN if any(item.constant is UNKNOWN for item in items) else [item.constant for item in items]
        return Value(tensor=any(item.tensor for item in items), items=items, constant=constant)
    # Attributes can be assigned to while the model runs, so that a stored number is no constant.
    return VAGUE


def _literal(node: ast.expr) -> Value:
    try:
        return Value(constant=ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return VAGUE


def _folded(operator: str, arguments: Sequence[Value]) -> Any:
    """The value of a comparison whose outcome the code decides, else ``UNKNOWN``."""
    constants = [value.constant for value in arguments]
    if operator == "__not__" and len(constants) == 1 and constants[0] is not UNKNOWN:
        return not constants[0]
    if operator in ("__is__", "__isnot__") and len(arguments) == 2 and constants[1] is None:
        first = arguments[0]
        if first.constant is None:
            return operator == "__is__"
        if first.items is not None or first.stub is not None or first.constant is not UNKNOWN:
            return operator == "__isnot__"
    return UNKNOWN


def _either(one: Value, other: Value) -> Value:
    """A value that is one or the other."""
    if one is other:
        return one
    modules = tuple(dict.fromkeys((*one.modules, *other.modules)))
    paths: dict[str, ModuleAt] = {}
    for module in modules:
        paths.setdefault(module.path, module)
    items = None
    if one.items is not None and other.items is not None and one.keys == other.keys:
        if len(one.items) == len(other.items):
            items = tuple(_either(left, right) for left, right in zip(one.items, other.items, strict=True))
    return Value(
        tensor=one.tensor or other.tensor,
        modules=tuple(paths.values()),
        items=items,
        keys=one.keys if items is not None else None,
        tracked=one.tracked if one.tracked is other.tracked else None,
        stub=one.stub if one.stub is other.stub else None,
        group=one.group if one.group is other.group else None,
        annotation=one.annotation or other.annotation,
    )


def _blurred(value: Value) -> Value:
    """A value that a loop may change: only what kind of thing it is remains."""
    return Value(tensor=value.tensor, modules=value.modules, annotation=value.annotation)


def _raises(statements: Sequence[ast.stmt]) -> bool:
    for statement in statements:
        if isinstance(statement, ast.Raise):
            return True
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            if dotted(statement.value.func) == "ops.prim.RaiseException":
                return True
    return False


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


__all__ = ["Flow", "Follower", "InputGroup", "ModuleAt", "OperatorCall", "Value", "names_in_annotation"]
