"""One method or function while its code is followed, statement by statement."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from kmr_cli.formats.torchscript.describe.code import dotted
from kmr_cli.formats.torchscript.describe.facts import UNKNOWN
from kmr_cli.formats.torchscript.describe.invocations import Calls
from kmr_cli.formats.torchscript.describe.values import (
    VAGUE,
    Value,
    blurred,
    either,
)


class Frame(Calls):
    """One method or function while it is followed; arguments as of :class:`Expressions`.

    Attributes:
        result: what it returns, None before the return.
    """

    result: Value | None = None

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
            return [self.member(value.group, place) for place in range(count)]
        if value.annotation is not None:
            return [self.of_type(kind) for kind in _member_types(value.annotation, count)]
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
