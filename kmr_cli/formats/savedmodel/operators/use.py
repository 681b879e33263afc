"""One node with what is known of its inputs: what the rules about shapes and contents work with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from kmr_cli.formats.savedmodel.operators.known import Content, Known
from kmr_cli.proof.graph import Argument
from kmr_cli.proof.sizes import Shape, Size, UntoldError, any_of_batch, larger


@dataclass(frozen=True)
class Use:
    """One node with what is known of its inputs.

    Attributes:
        op: TensorFlow's name of the operation.
        inputs: names of the values that it takes.
        attributes: numbers and texts; what has its default may be left out.
        declared: shapes of its results as the file has them: None for what it leaves open.
        known: of all values.
    """

    op: str
    inputs: Sequence[str]
    attributes: Mapping[str, Argument]
    declared: Sequence[tuple[int | None, ...] | None]
    known: Known

    def shape(self, place: int) -> Shape:
        """The shape of an input.

        Raises:
            UntoldError: it is not known.
        """
        found = self.known.shapes.get(self.inputs[place])
        if found is None:
            raise UntoldError
        return found

    @property
    def shapes(self) -> list[Shape]:
        """Of all inputs."""
        return [self.shape(place) for place in range(len(self.inputs))]

    def content(self, place: int) -> Content:
        """The numbers of an input.

        Raises:
            UntoldError: nothing tells them.
        """
        found = self.known.contents.get(self.inputs[place])
        if found is None:
            raise UntoldError
        return found

    def numbers(self, place: int) -> tuple[Size, ...]:
        """The numbers of an input, flat."""
        return tuple(self.content(place).ravel().tolist())

    def number(self, place: int) -> Size:
        """The only number of an input."""
        found = self.numbers(place)
        if len(found) != 1:
            raise UntoldError
        return found[0]

    def fixed(self, place: int) -> tuple[int, ...]:
        """The numbers of an input, in which nothing depends on sizes."""
        found = self.numbers(place)
        numbers = tuple(one for one in found if isinstance(one, int))
        if len(numbers) < len(found):
            raise UntoldError
        return numbers

    def axis(self, place: int, rank: int) -> int:
        """An input that names one axis, counted from the front."""
        (found,) = self.fixed(place)
        return front(found, rank)

    def integer(self, name: str, default: int = 0) -> int:
        """An attribute."""
        found = self.attributes.get(name, default)
        return found if isinstance(found, int) else default

    def integers(self, name: str) -> tuple[int, ...]:
        """An attribute that is a list; empty where it is not given."""
        found = self.attributes.get(name)
        return tuple(one for one in found if isinstance(one, int)) if isinstance(found, tuple) else ()

    def text(self, name: str, default: str = "") -> str:
        """An attribute."""
        found = self.attributes.get(name, default)
        return found if isinstance(found, str) else default

    def settled(self, result: int, axis: int) -> int | None:
        """How long the file says that an axis of a result is; None where it leaves that open."""
        shape = self.declared[result] if result < len(self.declared) else None
        return shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None


def front(axis: int, rank: int) -> int:
    """An axis counted from the front.

    Raises:
        UntoldError: there is no such axis.
    """
    if not -rank <= axis < rank:
        raise UntoldError
    return axis % rank


def spread(shapes: Sequence[Shape], use: Use, result: int = 0) -> Shape:
    """The shape of operands that are broadcast to each other.

    Raises:
        UntoldError: nothing tells whether a size is 1, or whether two are equal.
    """
    return tuple(_spread(shapes, use, result))


def _spread(shapes: Sequence[Shape], use: Use, result: int) -> Iterator[Size]:
    rank = max(map(len, shapes), default=0)
    for axis in range(-rank, 0):
        sizes = {shape[axis] for shape in shapes if len(shape) >= -axis} - {1}
        if len(sizes) < 2:
            yield next(iter(sizes), 1)
            continue
        fixed = [size for size in sizes if isinstance(size, int)]
        settled = use.settled(result, axis)
        if settled is not None or len(fixed) == 1:  # the others are the same, or 1
            yield fixed[0] if settled is None else settled
        elif fixed or any_of_batch(sizes):
            raise UntoldError
        else:
            yield reduce(lambda one, other: larger(one, other, use.known.ranges), sorted(sizes, key=str))
