"""One node with what is known of its inputs: what a rule about shapes works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kmr_cli.formats.onnx.describe.flow import Node
from kmr_cli.formats.onnx.operators.known import Known
from kmr_cli.proof.graph import Argument
from kmr_cli.proof.sizes import Shape, Size, UntoldError


@dataclass(frozen=True)
class Use:
    """One node with what is known of its inputs."""

    node: Node
    attributes: Mapping[str, Argument]
    known: Known

    def has(self, place: int) -> bool:
        """Whether an input is given."""
        names = self.node.message.input
        return place < len(names) and bool(names[place])

    def shape(self, place: int) -> Shape:
        """The shape of an input.

        Raises:
            UntoldError: it is not known.
        """
        found = self.known.shapes.get(self.node.message.input[place]) if self.has(place) else None
        if found is None:
            raise UntoldError
        return found

    def numbers(self, place: int, attribute: str = "") -> tuple[Size, ...] | None:
        """A parameter, given as an attribute or as an input; None where it is not given.

        Raises:
            UntoldError: it is computed from what is not known.
        """
        given = self.attributes.get(attribute)
        if isinstance(given, tuple):
            return tuple(one for one in given if isinstance(one, int))
        if not self.has(place):
            return None
        content = self.known.contents.get(self.node.message.input[place])
        if content is None:
            raise UntoldError
        return content.numbers

    def fixed(self, place: int, attribute: str = "") -> tuple[int, ...] | None:
        """A parameter in which nothing depends on sizes; None where it is not given.

        Raises:
            UntoldError: it does, or it is not known.
        """
        found = self.numbers(place, attribute)
        if found is None:
            return None
        numbers = tuple(one for one in found if isinstance(one, int))
        if len(numbers) < len(found):
            raise UntoldError
        return numbers

    def integer(self, name: str, default: int) -> int:
        """An attribute."""
        found = self.attributes.get(name, default)
        return found if isinstance(found, int) else default

    def integers(self, name: str) -> tuple[int, ...]:
        """An attribute that is a list; empty where it is not given."""
        found = self.attributes.get(name)
        return tuple(one for one in found if isinstance(one, int)) if isinstance(found, tuple) else ()


Results = Sequence["Shape | None"]
Rule = Callable[[Use], Results]


def spread(shapes: Sequence[Shape]) -> Shape:
    """The shape of operands that are broadcast to each other.

    Raises:
        ValueError: nothing tells whether a size is 1, or whether two are equal.
    """
    rank = max(map(len, shapes))
    found: list[Size] = []
    for axis in range(-rank, 0):
        sizes = {shape[axis] for shape in shapes if len(shape) >= -axis} - {1}
        if len(sizes) > 1:
            raise ValueError("sizes that may or may not be equal")
        found.append(next(iter(sizes), 1))
    return tuple(found)
