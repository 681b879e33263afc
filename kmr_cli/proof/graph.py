"""A model as a graph of operators, whatever file it came from: what a format hands to the proof."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from kmr_cli.proof.sizes import Range, Shape, Size

Kind: TypeAlias = Literal["samples", "weight", "state", "other"]


@dataclass(frozen=True)
class Ref:
    """A value of the graph by its name."""

    name: str


Argument: TypeAlias = "Ref | Size | float | complex | str | tuple[Argument, ...] | None"


@dataclass(frozen=True)
class Value:
    """What is known of a value.

    Attributes:
        shape: None where the file does not declare it, or where it depends on what the samples hold.
        dtype: NumPy's name, None where it is not known.
    """

    shape: Shape | None
    dtype: str | None = None


@dataclass(frozen=True)
class Body:
    """A graph that an operator runs: the branch of a condition, the body of a loop. Its names are unique in the model.

    Attributes:
        inputs: names of what it is given.
        operators: in the order in which they run.
        outputs: what it returns.
    """

    inputs: tuple[str, ...]
    operators: tuple[Operator, ...]
    outputs: tuple[Argument, ...]


@dataclass(frozen=True)
class Operator:
    """One operation.

    Attributes:
        name: of the node.
        kind: what it does, in the words of its vocabulary: ``aten.linear``.
        arguments: by name, in order.
        outputs: names of what it makes; None for what nobody gets.
        layer: path of the layer that it runs in, ``""`` for the model's own code.
        call: of that layer.
        graphs: what it runs, in the order of its arguments.
    """

    name: str
    kind: str
    arguments: tuple[tuple[str, Argument], ...]
    outputs: tuple[str | None, ...]
    layer: str = ""
    call: int = 0
    graphs: tuple[Body, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the values that it takes."""
        return tuple(name for _, argument in self.arguments for name in references(argument))


@dataclass(frozen=True)
class Graph:
    """A model.

    Attributes:
        vocabulary: whose operators these are: ``aten``, ``onnx``.
        inputs: every value that the graph starts from, and what it is: one row a sample (``samples``), constant
            (``weight``), kept from call to call (``state``), or something else that no rule knows (``other``).
        operators: in the order in which they run.
        values: what is known of each.
        outputs: what the model returns: (name for people, value).
        stored: what a call leaves behind for the next: (name for people, value).
        batch: the number of samples: a symbol where the file leaves it open.
        ranges: least and largest value of every symbol, the batch included.
        functional: whether no operator ever writes to what it takes.
        taps: (layer, call, port) as a session hands it over -> the value that stands there, as far as the file tells.
        shapes: of the only inputs that it is the graph for, in words; empty where the file tells which it takes.
    """

    vocabulary: str
    inputs: tuple[tuple[str, Kind], ...]
    operators: tuple[Operator, ...]
    values: Mapping[str, Value]
    outputs: tuple[tuple[str, Argument], ...]
    batch: Size
    stored: tuple[tuple[str, str], ...] = ()
    ranges: Mapping[str, Range] = field(default_factory=dict)
    functional: bool = False
    taps: Mapping[tuple[str, int, str], str] = field(default_factory=dict)
    shapes: tuple[str, ...] = ()


def shape_of_samples(name: str, shape: Sequence[int]) -> str:
    """An input in words, with as many samples as there may be: ``x (batch, 28, 28)``."""
    return f"{name} ({', '.join(['batch', *map(str, shape[1:])])})"


def references(argument: Argument) -> Iterator[str]:
    """Names of the values in an argument, in order."""
    if isinstance(argument, Ref):
        yield argument.name
    elif isinstance(argument, tuple):
        for one in argument:
            yield from references(one)
