"""What is known of a value in a model's code before a run."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from kmr_cli.formats.torchscript.describe.archive import Shell, TensorStub
from kmr_cli.formats.torchscript.describe.code import dotted
from kmr_cli.formats.torchscript.describe.facts import UNKNOWN
from kmr_cli.formats.torchscript.describe.input_facts import Tracked


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
        steps: it is a weight that meets nothing but (step, sample, feature), in this order or another.
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
    steps: bool = False
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
        each: the code asks for its length or goes through it: it most likely holds one tensor a sample. None where the
            user said which it is: by naming members, or the list.
    """

    name: str
    member: ast.expr
    members: dict[Any, Value] = field(default_factory=dict)
    each: bool | None = False

    def note_each(self) -> None:
        """Note that the code asks for its length or goes through it."""
        if self.each is not None and dotted(self.member) == "Tensor":
            self.each = True


_MAX_NESTING = 3
VAGUE = Value()
VAGUE_TENSOR = Value(tensor=True)


def stubs(value: Value) -> list[TensorStub]:
    """The stored tensors that a value is made of."""
    if value.stub is not None:
        return [value.stub]
    return [stub for item in value.items or () for stub in stubs(item)]


def stored(value: Any, depth: int = 0) -> Value:
    """An attribute or constant of the file."""
    if isinstance(value, TensorStub):
        return Value(tensor=True, stub=value)
    if isinstance(value, (list, tuple)) and depth < _MAX_NESTING:
        items = tuple(stored(item, depth + 1) for item in value)
        constant = UNKNOWN if any(item.constant is UNKNOWN for item in items) else [item.constant for item in items]
        return Value(tensor=any(item.tensor for item in items), items=items, constant=constant)
    # Attributes can be assigned to while the model runs, so that a stored number isn't a constant.
    return VAGUE


def literal(node: ast.expr) -> Value:
    """The default value of an argument."""
    try:
        return Value(constant=ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return VAGUE


def either(one: Value, other: Value) -> Value:
    """A value that is one or the other."""
    if one is other:
        return one
    modules = {module.path: module for module in (*other.modules, *one.modules)}
    items = None
    if one.items is not None and other.items is not None and one.keys == other.keys:
        pairs = zip(one.items, other.items, strict=False)
        items = tuple(either(left, right) for left, right in pairs) if len(one.items) == len(other.items) else None
    return Value(
        tensor=one.tensor or other.tensor,
        modules=tuple(modules.values()),
        items=items,
        keys=one.keys if items is not None else None,
        tracked=one.tracked if one.tracked is other.tracked else None,
        stub=one.stub if one.stub is other.stub else None,
        group=one.group if one.group is other.group else None,
        annotation=one.annotation or other.annotation,
    )


def blurred(value: Value) -> Value:
    """A value that a loop may change: only what kind of thing it is remains."""
    return Value(tensor=value.tensor, modules=value.modules, annotation=value.annotation)
