"""Symbolic sizes.

``torch.export`` writes them as text (``Mul(Integer(4), Symbol('s35', …))``), and torch's own loader hands that text to
an evaluator of Python; here it is parsed into a small tree that can be shown and computed.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from kmr_cli.formats.exported.describe.damage import UnexpectedError

_LONGEST = 10_000
"""Characters of one size: no real one comes near it."""
_LONGEST_NAME = 60
_DEEPEST = 50
_LARGEST = 1 << 63

Number: TypeAlias = "int | float"


@dataclass(frozen=True)
class Symbol:
    """A size that is only known at run time."""

    name: str


@dataclass(frozen=True)
class Formula:
    """An operation on sizes: ``Add``, ``Mul``, ``FloorDiv`` …, by sympy's names."""

    operation: str
    operands: tuple[Expression, ...]


Expression: TypeAlias = "int | float | Symbol | Formula"


def parse(text: str) -> Expression:
    """Read a size as torch writes it: sympy's ``srepr`` or, as older releases did, plain arithmetic.

    Raises:
        ValueError: it is something else.
    """
    if len(text) > _LONGEST:
        raise UnexpectedError(f"a size of {len(text)} characters")
    try:
        return _build(ast.parse(text, mode="eval").body, 0)
    except (SyntaxError, RecursionError, MemoryError) as exc:
        raise UnexpectedError(f"not a size: {text[:60]!r}") from exc


_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "Add", ast.Mult: "Mul", ast.FloorDiv: "FloorDiv", ast.Mod: "Mod", ast.Pow: "Pow", ast.Div: "TrueDiv",
}  # fmt: skip


def _build(node: ast.expr, depth: int) -> Expression:
    if depth > _DEEPEST:
        raise UnexpectedError("a size that is nested too deeply")
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return node.value
    if isinstance(node, ast.Name):
        return _symbol(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _build(node.operand, depth + 1)
        return -inner if isinstance(inner, (int, float)) else Formula("Mul", (-1, inner))
    if isinstance(node, ast.BinOp):
        left, right = _build(node.left, depth + 1), _build(node.right, depth + 1)
        if isinstance(node.op, ast.Sub):
            return Formula("Add", (left, Formula("Mul", (-1, right))))
        if type(node.op) in _OPERATORS:
            return Formula(_OPERATORS[type(node.op)], (left, right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _call(node.func.id, node.args, depth)
    raise UnexpectedError(f"{ast.unparse(node)[:60]!r} in a size")


def _call(name: str, arguments: list[ast.expr], depth: int) -> Expression:
    if name in ("Symbol", "Dummy"):
        return _symbol(arguments[0].value if arguments and isinstance(arguments[0], ast.Constant) else None)
    if name == "Float":  # Float('0.5', precision=53)
        number = arguments[0].value if arguments and isinstance(arguments[0], ast.Constant) else None
        if isinstance(number, (str, int, float)):
            return float(number)
        raise UnexpectedError("a number without a value")
    operands = tuple(_build(argument, depth + 1) for argument in arguments)
    if name == "Integer" and len(operands) == 1 and isinstance(operands[0], int):
        return operands[0]
    return Formula(_symbol(name).name, operands)


def _symbol(name: object) -> Symbol:
    if isinstance(name, str) and name.isidentifier() and name.isascii() and len(name) <= _LONGEST_NAME:
        return Symbol(name)
    raise UnexpectedError("a symbol without a name")


def _power(base: Number, exponent: Number) -> Number:
    if exponent < 0 or abs(exponent) > 64:
        raise UnexpectedError("an exponent that no size has")
    return base**exponent


_FUNCTIONS: dict[str, Callable[..., Number]] = {
    "Add": lambda *values: sum(values),
    "Mul": lambda *values: math.prod(values),
    "FloorDiv": lambda left, right: left // right,
    "CleanDiv": lambda left, right: left // right,
    "IntTrueDiv": lambda left, right: left / right,
    "FloatTrueDiv": lambda left, right: left / right,
    "TrueDiv": lambda left, right: left / right,
    "Rational": lambda left, right: left / right,
    "Mod": lambda left, right: left % right,
    "PythonMod": lambda left, right: left % right,
    "ModularIndexing": lambda left, by, over: left // by % over,
    "Pow": _power,
    "PowByNatural": _power,
    "Max": max,
    "Min": min,
    "Abs": abs,
    "floor": math.floor,
    "ceiling": math.ceil,
    "CeilToInt": math.ceil,
    "FloorToInt": math.floor,
    "TruncToInt": math.trunc,
    "TruncToFloat": math.trunc,
    "ToFloat": float,
    "Identity": lambda value: value,
}


def evaluate(size: Expression, values: Mapping[str, int]) -> int | None:
    """The size as a number, or None where a symbol has no value or the operation is not known."""
    number = _value(size, values)
    return None if number is None or number != int(number) or abs(number) > _LARGEST else int(number)


def _value(size: Expression, values: Mapping[str, int]) -> Number | None:
    if isinstance(size, (int, float)):
        return size
    if isinstance(size, Symbol):
        return values.get(size.name)
    operands = [_value(operand, values) for operand in size.operands]
    function = _FUNCTIONS.get(size.operation)
    if function is None or None in operands or any(abs(value) > _LARGEST for value in operands if value is not None):
        return None
    try:
        return function(*operands)
    except (ArithmeticError, TypeError, ValueError):
        return None


_INFIX = {
    "Add": (" + ", 1), "Mul": ("*", 2), "FloorDiv": ("//", 2), "CleanDiv": ("//", 2), "IntTrueDiv": ("/", 2),
    "Rational": ("/", 2), "Mod": (" % ", 2), "PythonMod": (" % ", 2), "Pow": ("**", 3), "PowByNatural": ("**", 3),
}  # fmt: skip


def show(size: Expression, names: Mapping[str, str]) -> str:
    """``4*batch``, with ``names`` in place of the file's symbols."""
    return _show(size, names, 0)


def _show(size: Expression, names: Mapping[str, str], around: int) -> str:
    if isinstance(size, Symbol):
        return names.get(size.name, size.name)
    if not isinstance(size, Formula):
        return str(size)
    if size.operation == "Mul" and size.operands[:1] == (-1,) and len(size.operands) > 1:
        rest = size.operands[1] if len(size.operands) == 2 else Formula("Mul", size.operands[1:])
        return _enclosed(f"-{_show(rest, names, 2)}", 2, around)
    if size.operation in _INFIX and size.operands:
        sign, strength = _INFIX[size.operation]
        operands = size.operands
        if size.operation == "Add":  # sympy puts numbers first, people last
            operands = tuple(sorted(operands, key=lambda one: isinstance(one, (int, float))))
        first, *others = (
            _show(one, names, strength + (position > 0 and size.operation not in ("Add", "Mul")))
            for position, one in enumerate(operands)
        )
        return _enclosed(sign.join((first, *others)).replace("+ -", "- "), strength, around)
    return f"{size.operation}({', '.join(_show(one, names, 0) for one in size.operands)})"


def _enclosed(text: str, strength: int, around: int) -> str:
    return f"({text})" if strength < around else text
