"""The values of expressions, while the code of a method or function is followed."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

from kmr_cli.formats.torchscript.describe.code import dotted
from kmr_cli.formats.torchscript.describe.facts import UNKNOWN
from kmr_cli.formats.torchscript.describe.followed import Followed
from kmr_cli.formats.torchscript.describe.input_facts import InputFacts, Tracked
from kmr_cli.formats.torchscript.describe.values import (
    VAGUE,
    InputGroup,
    ModuleAt,
    Value,
    either,
    stored,
)


class Expressions(ABC):
    """What is known of the values of expressions.

    Args:
        follower: keeps what is found.
        scope: the variables.
        certain: the code runs in every pass, as often as it is followed.
        own: path of the module whose method this is, None for a function.
    """

    def __init__(self, follower: Followed, scope: dict[str, Value], certain: bool, own: str | None) -> None:
        self.follower = follower
        self.scope = scope
        self.certain = certain
        self.own = own

    @abstractmethod
    def call(self, node: ast.Call) -> Value:
        """What a call returns."""

    def value(self, node: ast.expr) -> Value:
        """What is known of an expression's value."""
        self.follower.spend()
        if isinstance(node, ast.Name):
            return self.scope.get(node.id, VAGUE)
        if isinstance(node, ast.Constant):
            return Value(constant=node.value)
        if isinstance(node, ast.Call):
            return self.call(node)
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
        return self.member_of(self.value(node.value), node.attr)

    def member_of(self, owner: Value, name: str) -> Value:
        """An attribute of a module or a named tuple."""
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
            return self.member(owner.group, key)
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

    def member(self, group: InputGroup, key: Any) -> Value:
        """A member of a structure that the caller gives, which is an input of its own."""
        if key not in group.members:
            name = f"{group.name}.{key}"
            value = self.of_type(group.member)
            if dotted(group.member) == "Tensor":
                value = replace(value, tracked=Tracked(InputFacts(name)))
            group.members[key] = value
        return group.members[key]

    def of_type(self, annotation: ast.expr | None) -> Value:
        """A value of which its declared type is known."""
        return Value(tensor=self.follower.code.holds_tensor(annotation), annotation=annotation)
