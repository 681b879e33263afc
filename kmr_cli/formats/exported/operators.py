"""An exported program as the neutral graph that the proof works on: from the file's JSON, without torch or weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.exported.describe import archive, control, sizes
from kmr_cli.formats.exported.describe.description import Description, describe_archive
from kmr_cli.formats.exported.describe.program import Argument, Code, Graph, Node, Program, Ref, SubGraph, references
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.proof import graph as neutral
from kmr_cli.proof.sizes import (
    BATCH,
    Range,
    Shape,
    Size,
    UndecidedError,
    computed,
    floor_quotient,
    larger,
    product,
    quotient,
    remainder,
    smaller,
    symbol,
)

_NO_LIMIT = 1 << 60
"""What torch writes for a size without an upper limit is larger."""


def graph(path: Path, options: OpenOptions) -> neutral.Graph:
    """The operators of a ``.pt2`` file, with sizes that are exact for every batch size it takes.

    Raises:
        ModelFileError: the archive or the program in it is damaged.
    """
    described = describe_archive(archive.read(path, options.signature), "pt2")
    try:
        return _Builder(described).graph()
    except (ArithmeticError, AssertionError, LookupError, RecursionError, TypeError, ValueError) as exc:
        raise ModelFileError(
            f"{path.name}: the file is damaged: its graph contradicts itself", "export and save the model again"
        ) from exc


class _Builder:
    def __init__(self, described: Description) -> None:
        self._described = described
        self._program: Program = described.program
        outside = described.interface
        fixed = outside.fixed if outside.fixed is not None else 1
        self._batch: Size = BATCH if outside.batch else fixed
        self._symbols: dict[str, Size] = dict.fromkeys(outside.batch, BATCH)
        self._ranges = dict(_ranges(self._program, outside.batch))
        self._known: dict[sizes.Expression, Size | None] = {}
        self._values = self._declared(self._program.graph, "")
        self._numbers = self._symbolic(self._program.graph, "")

    def graph(self) -> neutral.Graph:
        program = self._program
        places = _places(self._described)
        operators = tuple(self._operator(node, *places[rank]) for rank, node in enumerate(program.graph.nodes))
        return neutral.Graph(
            vocabulary="aten",
            inputs=tuple(self._inputs()),
            operators=operators,
            values=self._values,
            outputs=tuple(self._outputs()),
            batch=self._batch,
            stored=tuple(
                (one.target, name)
                for one in program.outputs
                if one.kind in ("buffer", "parameter")
                for name in references(one.value)
            ),
            ranges=self._ranges,
            taps=dict(_taps(self._described)),
        )

    def _declared(self, graph: Graph, prefix: str) -> dict[str, neutral.Value]:
        return {
            prefix + name: neutral.Value(self._shape(meta.shape), meta.dtype) for name, meta in graph.tensors.items()
        }

    def _symbolic(self, graph: Graph, prefix: str) -> dict[str, Size]:
        """Numbers that sizes decide."""
        return {
            prefix + name: size
            for name, expression in graph.expressions.items()
            if expression is not None and (size := self._size(expression)) is not None
        }

    def _body(self, graph: Graph, prefix: str, layer: str, call: int) -> neutral.Body:
        """A graph that an operator runs, with names of its own."""
        self._values.update(self._declared(graph, prefix))
        self._numbers.update(self._symbolic(graph, prefix))
        return neutral.Body(
            tuple(prefix + name for value in graph.inputs for name in references(value)),
            tuple(self._operator(node, _innermost(node) or layer, call, prefix) for node in graph.nodes),
            tuple(self._argument(value, prefix) for value in graph.outputs),
        )

    def _inputs(self) -> Iterator[tuple[str, neutral.Kind]]:
        fed = {one.value: one.how for one in self._described.interface.fed}
        for one in self._program.inputs:
            if one.value is None:
                continue
            if one.kind == "user":
                how = fed.get(one.value, "unsupported")
                # What has no batch axis is the same for all samples.
                yield one.value, "samples" if how == "batch" else "other" if how == "unsupported" else "weight"
            elif one.kind in ("parameter", "buffer", "constant"):
                yield one.value, "weight"
            else:
                yield one.value, "other"

    def _outputs(self) -> Iterator[tuple[str, neutral.Argument]]:
        interface = self._described.interface
        named = {value: name for name, value in (*interface.outputs, *interface.numbers)}
        for one in self._program.outputs:
            if one.kind == "user":
                for name in references(one.value):
                    yield named.get(name, name), neutral.Ref(name)

    def _operator(self, node: Node, layer: str, call: int, prefix: str = "") -> neutral.Operator:
        names = [
            node.names[place] if place < len(node.names) and node.names[place] else f"argument_{place}"
            for place in range(len(node.positional))
        ]
        arguments = [(name, self._argument(value, prefix)) for name, value in zip(names, node.positional, strict=True)]
        arguments += [(name, self._argument(value, prefix)) for name, value in node.keywords]
        outputs = tuple(name and prefix + name for value in node.outputs for name in _made(value))
        bodies = tuple(
            self._body(value.graph, f"{prefix}{node.name}/{value.name}/", layer, call)
            for value in (*node.positional, *(value for _, value in node.keywords))
            if isinstance(value, SubGraph)
        )
        return neutral.Operator(
            prefix + node.name, _kind(node.target), tuple(arguments), outputs, layer, call, bodies
        )  # fmt: skip

    def _argument(self, value: Argument, prefix: str) -> neutral.Argument:
        if isinstance(value, Ref):
            name = prefix + value.name
            return self._numbers[name] if name not in self._values and name in self._numbers else neutral.Ref(name)
        if isinstance(value, list):
            return tuple(self._argument(one, prefix) for one in value)
        if isinstance(value, Code):
            return f"{value.kind} {value.value}"
        if isinstance(value, SubGraph):
            return f"graph {value.name}"
        return value

    # -- sizes

    def _shape(self, shape: tuple[sizes.Expression | None, ...]) -> Shape | None:
        found: list[Size] = []
        for one in shape:
            size = None if one is None else self._size(one)
            if size is None:
                return None
            found.append(size)
        return tuple(found)

    def _size(self, expression: sizes.Expression) -> Size | None:
        """None for what depends on the content of a tensor, and for what is not understood."""
        if isinstance(expression, int):
            return expression
        if expression not in self._known:
            try:
                self._known[expression] = self._computed(expression)
            except (UndecidedError, RecursionError):
                self._known[expression] = None
        return self._known[expression]

    def _computed(self, expression: sizes.Expression) -> Size | None:
        if isinstance(expression, sizes.Symbol):
            if expression.name not in self._symbols:
                if expression.name.startswith(("u", "zuf")):  # torch's mark of a size that a tensor's content decides
                    return None
                self._symbols[expression.name] = symbol(expression.name)
            return self._symbols[expression.name]
        if not isinstance(expression, sizes.Formula):
            return None
        operands: list[Size] = []
        for one in expression.operands:
            size = self._size(one)
            if size is None:
                return None
            operands.append(size)
        return _applied(expression.operation, operands, self._ranges)


def _applied(operation: str, operands: list[Size], ranges: Mapping[str, Range]) -> Size | None:
    if operation == "Add":
        total: Size = 0
        for one in operands:
            total = total + one
        return total
    if operation == "Mul":
        return product(operands)
    if operation in ("Pow", "PowByNatural") and isinstance(operands[1], int) and 0 <= operands[1] <= 8:
        return product([operands[0]] * operands[1])
    if operation == "Identity":
        return operands[0]
    if operation in ("FloorDiv", "CleanDiv"):
        return floor_quotient(*operands)
    if operation in ("IntTrueDiv", "TrueDiv"):
        exact = quotient(*operands)
        return exact if exact is not None else computed(operation, *operands)
    if operation in ("Mod", "PythonMod"):
        return remainder(*operands)
    if operation in ("Max", "Min"):
        found = operands[0]
        for one in operands[1:]:
            found = (larger if operation == "Max" else smaller)(found, one, ranges)
        return found
    return computed(operation, *operands)


def _ranges(program: Program, batch: frozenset[str]) -> Iterator[tuple[str, Range]]:
    lows, highs = [1], []
    for name, (low, high) in program.ranges.items():
        limits = (max(low or 0, 0), None if high is None or high >= _NO_LIMIT else high)
        if name in batch:
            lows.append(limits[0])
            highs += [] if limits[1] is None else [limits[1]]
        else:
            yield name, limits
    yield "batch", (max(lows), min(highs) if highs else None)


def _made(value: Argument) -> Iterator[str | None]:
    if isinstance(value, Ref):
        yield value.name
    elif isinstance(value, list):
        for one in value:
            yield from _made(one)
    else:
        yield None


def _kind(target: str) -> str:
    """``aten.linear`` for ``torch.ops.aten.linear.default``."""
    return target.removeprefix("torch.ops.").removesuffix(".default")


def _innermost(node: Node) -> str:
    """Path of the innermost module around a node."""
    return next((frame.path for frame in reversed(node.stack) if frame.path), "")


def _taps(described: Description) -> Iterator[tuple[tuple[str, int, str], str]]:
    """What enters and leaves the calls of layers, but of those that only a run counts.

    Values under vmap are left out: a pass shows them with the mapped axes, which they do not have in the graph.
    """
    flow, nodes = described.flow, described.program.graph.nodes
    mapped = {name for rank in control.mapped(described.program.graph) for name in nodes[rank].makes}
    for layer, calls in flow.calls.items():
        for call in () if layer in flow.inner else calls:
            for side in ("in", "out"):
                for place, value in enumerate(flow.port_values(call, side)):
                    if value not in mapped:
                        yield (layer, call.number, f"{side}{place}"), value


def _places(described: Description) -> list[tuple[str, int]]:
    """For every node the innermost layer around it, and which call of that."""
    nodes = described.program.graph.nodes
    found: list[tuple[str, int]] = [("", 0)] * len(nodes)
    widths = [len(nodes) + 1] * len(nodes)
    for calls in described.flow.calls.values():
        for call in calls:
            for rank in range(call.first, call.last + 1):
                innermost = _innermost(nodes[rank]) or nodes[rank].name
                if innermost == call.path and call.last - call.first < widths[rank]:
                    found[rank], widths[rank] = (call.path, call.number), call.last - call.first
    return found
