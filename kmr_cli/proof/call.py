"""One operator as its rule sees it: operands with their owners, and arguments that are checked when asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import TypeAlias

from kmr_cli.proof.graph import Argument, Body, Operator, Ref, Value, references
from kmr_cli.proof.owners import Free, NoRuleError, Operand, Own, Owner
from kmr_cli.proof.sizes import Range, Shape, Size, any_of_batch, loops_of

SIZES = frozenset(
    {"size", "sizes", "shape", "repeats", "end", "split_size", "split_sizes", "sections", "length", "dim_size"}
    | {"limit", "ends", "split", "rounds", "element"}
)
"""Arguments that say how large a result is. The number of samples in any other shows in the values."""


@dataclass(frozen=True)
class Call:
    """An operator and what stands at its inputs.

    Attributes:
        operator: from the graph.
        owners: of every value so far.
        values: shapes and dtypes.
        batch: the number of samples.
        ranges: of the symbols.
        judge: the owners of what a body returns, from those of what it is given.
    """

    operator: Operator
    owners: Mapping[str, Owner]
    values: Mapping[str, Value]
    batch: Size
    ranges: Mapping[str, Range]
    judge: Callable[[Body, Sequence[Owner]], list[Owner]]

    @property
    def kind(self) -> str:
        """The operator, without its vocabulary and overload: ``max`` for ``aten.max.dim``."""
        domain, _, rest = self.operator.kind.partition(".")
        return rest.split(".")[0] if domain not in ("ai", "com") else rest.rpartition(".")[2]

    # -- tensors

    def operand(self, name: str) -> Operand | None:
        """The tensor of this argument; None where none is given."""
        argument = self._argument(name)
        return self.of(argument) if isinstance(argument, Ref) else None

    def needed(self, *names: str) -> Operand:
        """The tensor of the first of these arguments that is given."""
        for name in names:
            found = self.operand(name)
            if found is not None:
                return found
        raise NoRuleError(f"it has no argument {names[0]!r}")

    def operands(self, *names: str) -> list[Operand]:
        """The tensors of these arguments, lists included; without names, all."""
        wanted = [argument for name, argument in self.operator.arguments if not names or name in names]
        return [self.of(Ref(name)) for argument in wanted for name in references(argument) if self.is_tensor(name)]

    def optional_operands(self, name: str) -> list[Operand | None]:
        """A list that may have gaps: what an index leaves out."""
        argument = self._argument(name)
        if not isinstance(argument, tuple):
            raise NoRuleError(f"its argument {name!r} isn't a list")
        return [self.of(one) if isinstance(one, Ref) else None for one in argument]

    def of(self, reference: Ref) -> Operand:
        """A value as an operand."""
        value, owner = self.values.get(reference.name), self.owners.get(reference.name)
        if value is None or value.shape is None:
            raise NoRuleError(f"the file does not declare the shape of {reference.name!r}")
        if not isinstance(owner, (Own, Free)):
            raise NoRuleError(f"nothing is known of {reference.name!r}")
        return Operand(owner, value.shape)

    @staticmethod
    def names(argument: Argument) -> list[str]:
        """Names of the values in an argument."""
        return list(references(argument))

    def is_tensor(self, name: str) -> bool:
        """Whether a value is one; the others are single numbers."""
        return name in self.values

    def dtype(self, name: str) -> str | None:
        """Of the tensor of an argument."""
        argument = self._argument(name)
        value = self.values.get(argument.name) if isinstance(argument, Ref) else None
        return None if value is None else value.dtype

    # -- results

    @property
    def shapes(self) -> tuple[Shape | None, ...]:
        """Of the results."""
        values = (self.values.get(name) if name is not None else None for name in self.operator.outputs)
        return tuple(None if value is None else value.shape for value in values)

    @property
    def shape(self) -> Shape:
        """Of the first result."""
        found = self.shapes[0] if self.operator.outputs else None
        if found is None:
            raise NoRuleError("the file does not declare the shape of its result")
        return found

    def needed_shape(self, name: str) -> Shape:
        """Of an argument whose content plays no part."""
        argument = self._argument(name)
        value = self.values.get(argument.name) if isinstance(argument, Ref) else None
        if value is None or value.shape is None:
            raise NoRuleError(f"the file does not declare the shape of its argument {name!r}")
        return value.shape

    # -- arguments that aren't tensors

    def _argument(self, name: str) -> Argument:
        return next((argument for key, argument in self.operator.arguments if key == name), None)

    def given(self, name: str) -> bool:
        """Whether an argument is given, and is not None."""
        return self._argument(name) is not None

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number that does not depend on anything."""
        found = self._argument(name) if self.given(name) else default
        if not isinstance(found, int):
            raise NoRuleError(f"its argument {name!r} isn't a fixed number")
        return found

    def size(self, name: str, default: Size | None = None) -> Size:
        """A size."""
        return self._size(self._argument(name) if self.given(name) else default, name)

    def sizes(self, name: str) -> tuple[Size, ...]:
        """Sizes; a single one counts as a list of one."""
        found = self._argument(name)
        return tuple(self._size(one, name) for one in (found if isinstance(found, tuple) else (found,)))

    @staticmethod
    def _size(argument: Argument, name: str) -> Size:
        if argument is None or isinstance(argument, (Ref, float, complex, str, tuple)):
            raise NoRuleError(f"its argument {name!r} isn't a size")
        return argument

    def integers(self, name: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Whole numbers; a single one counts as a list of one."""
        found = self._argument(name) if self.given(name) else default
        numbers = found if isinstance(found, tuple) else (found,)
        if not all(isinstance(one, int) for one in numbers):
            raise NoRuleError(f"its argument {name!r} isn't a list of fixed numbers")
        return tuple(one for one in numbers if isinstance(one, int))

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Whether a switch is on."""
        return bool(self.integer(name, default))

    def number(self, name: str, default: float) -> float:
        """A fixed number, whole or not."""
        found = self._argument(name) if self.given(name) else default
        if not isinstance(found, (int, float)):
            raise NoRuleError(f"its argument {name!r} isn't a fixed number")
        return float(found)

    def text(self, name: str, default: str | None = None) -> str:
        """A string."""
        found = self._argument(name) if self.given(name) else default
        if not isinstance(found, str):
            raise NoRuleError(f"its argument {name!r} isn't text")
        return found

    def axis(self, name: str, rank: int, default: int | None = None) -> int:
        """An axis, counted from the front."""
        return from_front(self.integer(name, default), rank)

    def axes(self, name: str, rank: int, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Axes, counted from the front."""
        return tuple(from_front(one, rank) for one in self.integers(name, default))

    # -- the number of samples

    @property
    def tells_count(self) -> bool:
        """Whether the number of samples is in an argument that shows in the values, or in a number it takes."""
        return any(name not in SIZES and _holds_batch(argument) for name, argument in self.operator.arguments)

    @property
    def rounds(self) -> frozenset[str]:
        """The loops whose rounds are in an argument that isn't a tensor."""
        return frozenset().union(*(_loops(argument) for _, argument in self.operator.arguments))

    @property
    def spans_batch(self) -> bool:
        """Whether any axis of anything here is as long as the batch, or a multiple of it."""
        shapes = [one.shape for one in self.operands()] + [shape for shape in self.shapes if shape is not None]
        return any(any_of_batch(shape) for shape in shapes)


Rule: TypeAlias = "Callable[[Call], Owner | tuple[Owner, ...]]"


def from_front(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -max(rank, 1) <= axis < max(rank, 1):
        raise NoRuleError(f"it names axis {axis} of {rank}")
    return axis % max(rank, 1)


def _holds_batch(argument: Argument) -> bool:
    if isinstance(argument, tuple):
        return any(map(_holds_batch, argument))
    if argument is None or isinstance(argument, (Ref, int, float, complex, str)):
        return False
    return any(one.of_batch for one in argument.symbols)


def _loops(argument: Argument) -> frozenset[str]:
    if isinstance(argument, tuple):
        return frozenset().union(*map(_loops, argument))
    return frozenset() if isinstance(argument, (Ref, float, complex, str, int, NoneType)) else loops_of(argument)


def generic_free(call: Call) -> Free:
    """What comes of operands without any sample's content where no rule says more."""
    count = call.spans_batch or any(one.owner.count for one in call.operands())
    return Free(count=count)
