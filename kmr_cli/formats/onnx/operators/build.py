"""From the nodes of a file to neutral operators, with shapes for every value and numbers for shape arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.common.graph_layers import values_at_taps
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.formats.onnx.describe.analysis import Analysis, analyse
from kmr_cli.formats.onnx.describe.flow import Node
from kmr_cli.formats.onnx.describe.types import ValueType
from kmr_cli.formats.onnx.operators import schema
from kmr_cli.formats.onnx.operators.constants import folded, short_floats, stored
from kmr_cli.formats.onnx.operators.control import Bodies, control
from kmr_cli.formats.onnx.operators.known import Content, Known
from kmr_cli.formats.onnx.operators.sequences import Sequences
from kmr_cli.formats.onnx.operators.shapes import inferred
from kmr_cli.formats.onnx.operators.steps import Spread, Steps, counted, spread
from kmr_cli.proof import graph as neutral
from kmr_cli.proof.graph import Argument, Ref
from kmr_cli.proof.sizes import BATCH, Range, Shape, Size, symbol

KNOWN = "onnx.Known"
"""A value that shape arithmetic tells, whatever made it."""


def graph(path: Path, options: OpenOptions) -> neutral.Graph:
    """The operators of an ``.onnx`` file, with sizes that are exact for every batch size it takes.

    Raises:
        ModelFileError: the file is damaged, or contradicts itself.
    """
    analysis = analyse(path)
    try:
        return _Builder(analysis, frozenset(dict(options.constants or ()))).graph()
    except (ArithmeticError, AssertionError, LookupError, RecursionError, TypeError, ValueError) as exc:
        raise ModelFileError(
            f"{path.name}: the file is damaged: its graph contradicts itself", "copy or export the model again"
        ) from exc


class _Builder:
    def __init__(self, analysis: Analysis, constants: frozenset[str]) -> None:
        self._analysis, self._constants = analysis, constants
        self._graph = analysis.graph
        self._ranges: dict[str, Range] = {"batch": (1, None)}
        firsts = [kind.shape[0] for name in self._batched() if (kind := self._graph.type(name)).shape]
        fixed = next((first for first in firsts if first is not None), None)
        self._batch: Size = BATCH if None in firsts or fixed is None else fixed
        self._symbols: dict[str, Size] = {
            kind.dims[0] or "": BATCH
            for name in self._batched()
            if (kind := self._graph.type(name)).shape and kind.shape[0] is None
        }
        self._symbols.pop("", None)
        self._known = Known(self._ranges)
        self._sequences = Sequences(self._known, {name for node in self._graph.nodes for name in node.outputs})
        self._inside: dict[str, neutral.Kind] = {}
        self._joined: dict[str, tuple[Ref, ...]] = {}
        """What was joined along its last axis -> of what."""
        self._steps: dict[str, Steps] = {}
        self._spreads: dict[str, Spread] = {}
        """Of values outside of branches and loops: places that are counted out, and constants."""

    def _batched(self) -> Iterator[str]:
        """Inputs that hold samples, as far as the options tell."""
        yield from (name for name in self._graph.inputs if name not in self._constants)

    def graph(self) -> neutral.Graph:
        known = self._known
        inputs: list[tuple[str, neutral.Kind]] = []
        for name in self._graph.inputs:
            shape = self._declared(name, self._graph.type(name))
            known.shapes[name], known.dtypes[name] = shape, self._graph.type(name).dtype
            shared = name in self._constants or shape == ()
            inputs.append((name, "weight" if shared else "samples"))
        for name, message in self._graph.initializers.items():
            self._weight(name, message)
            numbers = spread(message)
            if numbers is not None:
                self._spreads[name] = numbers
            inputs.append((name, "weight"))
        for name, message in self._graph.sparse.items():
            known.shapes[name] = tuple(message.dims)
            inputs.append((name, "weight"))
        places = _places(self._analysis)
        operators = [
            operator
            for node in self._graph.nodes
            for operator in self._operators(node, *places.get(node.number, ("", 0)))
        ]
        values = {name: neutral.Value(shape, known.dtypes.get(name)) for name, shape in known.shapes.items()}
        return neutral.Graph(
            vocabulary="onnx",
            inputs=(*inputs, *self._inside.items()),
            operators=tuple(operators),
            values=values,
            outputs=tuple(self._outputs()),
            batch=self._batch,
            ranges=self._ranges,
            functional=True,
            taps=dict(self._taps()),
        )

    def _outputs(self) -> Iterator[tuple[str, Argument]]:
        for name in self._graph.outputs:
            yield from ((self._named(name) + suffix, Ref(value)) for suffix, value in self._sequences.ports(name))

    def _taps(self) -> Iterator[tuple[tuple[str, int, str], str]]:
        """What enters and leaves every call of every layer, but inside of loops and branches."""
        outside = {name for node in self._graph.nodes for name in node.outputs} | set(self._graph.inputs)
        for (layer, call, port), value in values_at_taps(self._analysis.layers):
            if value in outside:
                parts = self._sequences.ports(value)
                yield from (((layer, call, port + suffix), part) for suffix, part in parts)

    def _operators(self, node: Node, layer: str, call: int) -> list[neutral.Operator]:
        """What stands for a node: itself, or what is done with the members of a sequence."""
        steps = self._sequences.steps(node, dict(_attributes(node)))
        if steps is None:
            return [self._operator(node, layer, call)]
        return [
            neutral.Operator(node.label, f"onnx.{op}", arguments, made, layer, call) for op, arguments, made in steps
        ]

    def _named(self, output: str) -> str:
        """As a session names it: of maps from classes, which the file holds, to scores, the scores."""
        return f"{output}.values" if self._graph.has_fixed_keys(output) else output

    def _declared(self, name: str, kind: ValueType) -> Shape | None:
        """What the file says of a shape; an open size without a name is a symbol of its own."""
        if kind.kind != "tensor" or kind.shape is None:
            return None
        found: list[Size] = []
        for axis, (length, dim) in enumerate(zip(kind.shape, kind.dims, strict=True)):
            if length is not None:
                found.append(length)
            elif axis == 0 and name in self._graph.inputs and name not in self._constants:
                found.append(BATCH)
            else:
                label = dim or f"{name}.{axis}"
                found.append(self._symbols.setdefault(label, symbol(label)))
                self._ranges.setdefault(label, (1, None))
        return tuple(found)

    def _weight(self, name: str, message: Any) -> None:
        weight = self._analysis.weights.get(name)
        self._known.shapes[name] = tuple(message.dims)
        self._known.dtypes[name] = weight.dtype_name if weight is not None else None
        self._factors(name, message)
        content = stored(message)
        if content is not None:
            self._known.contents[name] = content

    def _factors(self, name: str, message: Any) -> None:
        found = short_floats(message)
        if found is not None:
            self._known.scales[name] = found

    def _operator(self, node: Node, layer: str, call: int, *, inside: bool = False) -> neutral.Operator:
        known = self._known
        attributes = dict(_attributes(node))
        content = folded(node, attributes, known)
        outputs = tuple(name or None for name in node.outputs)
        if content is not None:
            name = node.outputs[0]
            known.contents[name], known.shapes[name] = content, content.shape
            known.dtypes[name] = "int64"
            return neutral.Operator(
                node.label, KNOWN, (("value", tuple(content.numbers)),), outputs, layer, call
            )  # fmt: skip
        constant = node.attribute("value") if node.op == "Constant" else None
        if constant is not None and constant.HasField("t"):
            self._factors(node.outputs[0], constant.t)
        bodies = self._bodies(node, layer, call)
        for name, shape, dtype in bodies.results if bodies else inferred(node, attributes, known):
            fallback = self._declared(name, self._graph.type(name))
            known.shapes[name] = shape if shape is not None else _without_batch_doubt(fallback)
            known.dtypes[name] = dtype or self._graph.type(name).dtype
        if node.op in schema.COERCED and self._graph.imports.get("", 0) < schema.COERCED_BEFORE:
            attributes["coerced"] = 1
        if node.op == "Concat" and attributes.get("axis") in (-1, len(known.shapes.get(node.outputs[0]) or ()) - 1):
            self._joined[node.outputs[0]] = tuple(Ref(name) for name in node.message.input)
        if node.op in ("GatherND", "ScatterND") and (places := self._columns(node.message.input[1])):
            attributes["places"] = places
        if not inside:  # of branches and loops, where names may come again, it is not followed
            attributes |= self._counted(node)
        inputs = [one for one in self._inputs(node) if one[0] != "index" or "places" not in attributes]
        arguments = (*inputs, *sorted(attributes.items()))
        kind = f"onnx.{node.op}" if not node.domain else f"{node.domain}.{node.op}"
        graphs = bodies.graphs if bodies else ()
        return neutral.Operator(node.label, kind, arguments, outputs, layer, call, graphs)

    def _columns(self, name: str) -> tuple[Ref, ...]:
        """What was joined to these places, if each of it is for one axis."""
        joined = self._joined.get(name, ())
        shapes = [self._known.shapes.get(one.name) for one in joined]
        return joined if all(shape and shape[-1] == 1 for shape in shapes) else ()

    def _counted(self, node: Node) -> dict[str, Argument]:
        """What a ``Gather`` is told of places that were counted out; they are noted where a node makes them."""
        steps = counted(node, self._known, self._steps, self._spreads)
        if steps is not None:
            self._steps[node.outputs[0]] = steps
        index = self._steps.get(node.message.input[1]) if node.op == "Gather" else None
        return {"step": index.step, "along": index.axis} if index is not None and index.apart else {}

    def _bodies(self, node: Node, layer: str, call: int) -> Bodies | None:
        """What a branch or loop runs, with names of their own, and the shapes of its results."""

        def built(message: Node) -> neutral.Operator:
            return self._operator(message, layer, call, inside=True)

        def inside(name: str, message: Any) -> None:
            self._weight(name, message)
            self._inside[name] = "weight"

        return control(node, self._known, built, inside)

    def _inputs(self, node: Node) -> Iterator[tuple[str, Argument]]:
        """Inputs under the names of the schema; what tells shapes and axes as numbers, where they are known."""
        for place, name in enumerate(node.message.input):
            label, is_parameter = schema.argument(node.op, place)
            if not name:
                continue
            content: Content | None = self._known.contents.get(name) if is_parameter else None
            if content is None:
                yield label, Ref(name)
            else:
                yield label, content.numbers[0] if content.shape == () else tuple(content.numbers)
        inside = set(node.message.input)
        yield from (("captured", Ref(name)) for name in node.reads if name not in inside)


def _without_batch_doubt(shape: Shape | None) -> Shape | None:
    """A declared shape, unless it leaves a size open: another name may stand for the batch."""
    return shape if shape is not None and all(isinstance(size, int) for size in shape) else None


_ATTRIBUTES = {1: "f", 2: "i", 3: "s", 6: "floats", 7: "ints", 8: "strings"}
"""Number of an attribute's type -> the field that holds it; tensors and graphs are left out."""


def _attributes(node: Node) -> Iterator[tuple[str, Argument]]:
    for attribute in node.message.attribute:
        field = _ATTRIBUTES.get(attribute.type) or next(
            (one for one in ("i", "f", "s") if attribute.HasField(one)), "ints" if attribute.ints else None
        )  # fmt: skip
        if field is None:
            continue
        value = getattr(attribute, field)
        if field == "s":
            yield attribute.name, value.decode("utf-8", "replace")
        elif field == "strings":
            yield attribute.name, tuple(one.decode("utf-8", "replace") for one in value)
        elif field in ("ints", "floats"):
            yield attribute.name, tuple(value)
        else:
            yield attribute.name, value


def _places(analysis: Analysis) -> Mapping[int, tuple[str, int]]:
    """For every node the innermost layer around it, and which call of that."""
    found: dict[int, tuple[int, str, int]] = {}
    for layer in analysis.layers:
        for number, call in enumerate(layer.calls):
            for node in call.nodes:
                if node not in found or len(call.nodes) < found[node][0]:
                    found[node] = (len(call.nodes), layer.path, number)
    return {node: (path, number) for node, (_, path, number) in found.items()}
