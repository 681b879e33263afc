"""An exported program as typed values: nodes, the values they make, the signature, and what the modules were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from kmr_cli.formats.exported.describe.sizes import Expression


@dataclass(frozen=True)
class Ref:
    """A value of the graph by its name."""

    name: str


@dataclass(frozen=True)
class Code:
    """A constant that torch has an object of its own for: ``dtype``, ``memory_format``, ``layout``, ``device``."""

    kind: str
    value: Any


@dataclass(frozen=True)
class SubGraph:
    """A graph that an operator runs: the branch of a condition, the body of a loop."""

    name: str
    graph: Graph


Argument: TypeAlias = "Ref | Code | SubGraph | bool | int | float | complex | str | list[Any] | None"


@dataclass(frozen=True)
class Frame:
    """One module that a node runs in.

    Attributes:
        key: tells the calls of one module apart.
        path: of the module, ``""`` for the model itself.
        kind: its class, with the module that defines it.
    """

    key: str
    path: str
    kind: str


@dataclass(frozen=True)
class Node:
    """One operation: ``torch.ops.aten.linear.default``.

    Attributes:
        name: of the node.
        target: the operator.
        positional, keywords: arguments.
        outputs: names of what it makes; None for what nobody gets; a list where the operator returns one.
        stack: the modules it runs in, from the outside in.
        names: of the positional arguments, as the operator's schema has them.
    """

    name: str
    target: str
    positional: tuple[Argument, ...]
    keywords: tuple[tuple[str, Argument], ...]
    outputs: tuple[Argument, ...]
    stack: tuple[Frame, ...]
    names: tuple[str, ...] = ()

    @property
    def uses(self) -> tuple[str, ...]:
        """Names of the values it takes, each once."""
        found = [*self.positional, *(value for _, value in self.keywords)]
        return tuple(dict.fromkeys(name for value in found for name in references(value)))

    @property
    def makes(self) -> tuple[str, ...]:
        """Names of the values it makes."""
        return tuple(name for value in self.outputs for name in references(value))

    @property
    def graphs(self) -> Iterator[Graph]:
        """The graphs that it runs."""
        return (value.graph for value in self.positional if isinstance(value, SubGraph))


@dataclass(frozen=True)
class Meta:
    """Dtype and shape of a tensor as the file declares them; None for a dtype or a size that is not understood."""

    dtype: str | None
    shape: tuple[Expression | None, ...]


@dataclass(frozen=True)
class Graph:
    """Nodes in the order in which they run.

    Attributes:
        inputs, outputs: as the file has them.
        nodes: in order.
        tensors: what is declared of every tensor.
        numbers: symbolic numbers, with the one that they had when the program was exported.
        expressions: the same numbers as the file has them.
    """

    inputs: tuple[Argument, ...]
    outputs: tuple[Argument, ...]
    nodes: tuple[Node, ...]
    tensors: Mapping[str, Meta]
    numbers: Mapping[str, int | None]
    expressions: Mapping[str, Expression | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Input:
    """One value that the graph starts from.

    Attributes:
        kind: ``user``, ``parameter``, ``buffer``, ``constant``, ``fixed`` (an argument whose value was fixed when the
            program was exported), ``object`` or ``token``.
        value: name in the graph; None for a fixed one.
        target: name of the weight or constant.
    """

    kind: str
    value: str | None
    target: str = ""


@dataclass(frozen=True)
class Output:
    """One value that the graph ends with.

    Attributes:
        kind: ``user``, ``buffer`` or ``parameter`` (the new content of one), ``input`` (the new content of an input)
            or ``other``.
        value: what it is.
        target: name of the buffer, parameter or input.
    """

    kind: str
    value: Argument
    target: str = ""


@dataclass(frozen=True)
class Program:
    """An exported program.

    Attributes:
        graph: of the forward pass.
        inputs, outputs: its signature.
        ranges: least and largest value of every symbol, None for no limit.
        writer: version of torch that wrote it, ``2.13.0+cpu``; None where it does not say.
        modules: paths of all modules, in the order in which the model has them.
        in_spec, out_spec: how arguments and results nest, as text.
        argument_names: of the forward method; empty where the file does not say.
        fields: of the named tuples among them, by their class.
        hints: the value that each symbol had when the program was exported.
    """

    graph: Graph
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    ranges: Mapping[str, tuple[int | None, int | None]]
    writer: str | None
    modules: tuple[str, ...]
    in_spec: str | None
    out_spec: str | None
    argument_names: tuple[str, ...]
    fields: Mapping[str, tuple[str, ...]]
    hints: Mapping[str, int] = field(default_factory=dict)


def references(value: Argument) -> Iterator[str]:
    """The names of the values in an argument, in order."""
    if isinstance(value, Ref):
        yield value.name
    elif isinstance(value, list):
        for item in value:
            yield from references(item)
