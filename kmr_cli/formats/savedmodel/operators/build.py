"""From the nodes of a graph to neutral operators, with shapes for every value and numbers for shape arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.savedmodel.describe import dtypes
from kmr_cli.formats.savedmodel.describe.graph import CALLS, Graph, Node, producer
from kmr_cli.formats.savedmodel.describe.stateful import is_write
from kmr_cli.formats.savedmodel.describe.variables import HANDLES, shape_of
from kmr_cli.formats.savedmodel.operators import lists, schema
from kmr_cli.formats.savedmodel.operators.arithmetic import above_one, bounds
from kmr_cli.formats.savedmodel.operators.contents import folded
from kmr_cli.formats.savedmodel.operators.control import Control
from kmr_cli.formats.savedmodel.operators.known import Content, Known
from kmr_cli.formats.savedmodel.operators.shapes import inferred
from kmr_cli.formats.savedmodel.operators.stored import constant, whole_float
from kmr_cli.formats.savedmodel.operators.use import Use
from kmr_cli.proof import graph as neutral
from kmr_cli.proof.graph import Argument, Ref

KNOWN = "tensorflow.Known"
"""A value that shape arithmetic tells, whatever made it."""
_NOTHING = frozenset({"NoOp", "Assert", "Print", "PrintV2", "ControlTrigger", "Placeholder"}) | HANDLES
_PASSED_ON = frozenset({"Identity", "StopGradient", "PreventGradient", "Snapshot"})
_MAX_DEPTH = 100
"""Functions within functions; real models stay below ten."""


class Builder:
    """Turns nodes into operators, one after the other, and keeps what is known of their values.

    Args:
        graph: the inlined graph, whose functions bodies of loops and branches come from.
        known: shapes of what the graph starts from.
        places: layer and call of a node, by name.
    """

    def __init__(self, graph: Graph, known: Known, places: Mapping[str, tuple[str, int]]) -> None:
        self._graph, self._places = graph, places
        self.known = known
        self.written: list[tuple[str, str]] = []
        self.sources: dict[str, neutral.Kind] = {}
        self._control = Control(self)
        self._depth = 0

    def operators(self, node: Node, place: tuple[str, int] | None = None) -> list[neutral.Operator]:
        """What a node does: no operator at all, one, or several for one that makes several known numbers."""
        layer, call = place if place is not None else self._places.get(node.name, ("", 0))
        if node.op in _NOTHING:
            return []
        types = self._graph.result_types(node)
        outputs = [f"{node.name}:{number}" for number in range(1 if types is None else len(types))]
        for number, name in enumerate(outputs):
            self.known.forget(name)
            self.known.dtypes[name] = None if types is None else types[number]
        if is_write(node.op):
            target = self.known.origin(node.data_inputs[0]) if node.data_inputs else node.name
            self.written.append((producer(target), (node.data_inputs or [node.name])[-1]))
        if is_write(node.op) and not outputs:
            return []
        made = self._made(node, outputs, layer, call)
        for result in (one for operator in made for one in operator.outputs if one is not None):
            self.known.shapes.setdefault(result, None)
        return made

    def _made(self, node: Node, outputs: Sequence[str], layer: str, call: int) -> list[neutral.Operator]:
        known = self.known
        if node.op == "Const":
            return self._constant(node, outputs[0], layer, call)
        if not node.data_inputs and outputs and known.dtypes[outputs[0]] in (dtypes.RESOURCE, dtypes.VARIANT):
            self.sources[outputs[0]] = "weight"  # a table, an iterator
            return []
        if node.op in _PASSED_ON:
            self._pass_on(node.data_inputs[0], outputs[0])
        use = Use(node.op, node.data_inputs, dict(_attributes(node)), list(_declared(node)), known)
        contents = folded(use)
        if contents is not None and len(contents) == len(outputs):
            return [self._told(name, found, layer, call) for name, found in zip(outputs, contents, strict=True)]
        self._take_note(use, outputs)
        if self._picks_every_row(use):
            return [self._identity(node, outputs[0], layer, call)]
        controlled = self._control.operators(node, outputs, (layer, call))
        if controlled is not None:
            return controlled
        if lists.handles(node.op):
            lists.infer(use, outputs)
        else:
            for name, shape in zip(outputs, inferred(use, len(outputs)), strict=True):
                known.shapes[name] = known.lists[name].shape if name in known.lists else shape
        arguments = (*self._inputs(node), *sorted(use.attributes.items()))
        return [neutral.Operator(node.name, f"tensorflow.{node.op}", arguments, tuple(outputs), layer, call)]

    def _pass_on(self, source: str, name: str) -> None:
        known = self.known
        known.same[name] = source
        if source in known.lists:
            known.lists[name] = known.lists[source]

    def _take_note(self, use: Use, outputs: Sequence[str]) -> None:
        """What a comparison or an extreme tells, though its value is not known."""
        bound, size = bounds(use), above_one(use)
        if bound is not None:
            self.known.bounds[outputs[0]] = bound
        if size is not None:
            self.known.several[outputs[0]] = size
        if use.op == "Cast" and dtypes.name(use.integer("DstT")) in ("float32", "float64"):
            cast = self.known.contents.get(use.inputs[0])
            if cast is not None and cast.shape == ():
                self.known.floats[outputs[0]] = cast.item()
        if use.op == "Range":
            start, _, step = (self.known.contents.get(name) for name in use.inputs)
            if start is not None and step is not None and (start.item(), step.item()) == (0, 1):
                self.known.counting.add(outputs[0])

    def _picks_every_row(self, use: Use) -> bool:
        """Whether it is 0, 1, 2 … where there are several rows, and 0 where there is one, as in ``vectorized_map``."""
        if use.op != "SelectV2":
            return False
        condition, rows, nought = use.inputs
        size, zeros = self.known.several.get(self.known.origin(condition)), self.known.contents.get(nought)
        shape = self.known.shapes.get(rows)
        every = size is not None and shape == (size,) and self.known.origin(rows) in self.known.counting
        return every and zeros is not None and not any(zeros.ravel().tolist())

    def _identity(self, node: Node, name: str, layer: str, call: int) -> neutral.Operator:
        source = node.data_inputs[1]
        self.known.shapes[name], self.known.same[name] = self.known.shapes[source], source
        return neutral.Operator(node.name, "tensorflow.Identity", (("self", Ref(source)),), (name,), layer, call)

    def _told(self, name: str, found: Content, layer: str, call: int) -> neutral.Operator:
        self.known.contents[name], self.known.shapes[name] = found, found.shape
        return neutral.Operator(name, KNOWN, (("value", tuple(found.ravel().tolist())),), (name,), layer, call)

    def _constant(self, node: Node, name: str, layer: str, call: int) -> list[neutral.Operator]:
        value = node.attr("value")
        shape, content, same = constant(value.tensor) if value is not None else (None, None, False)
        self.known.shapes[name] = shape
        number = whole_float(value.tensor) if value is not None and shape == () else None
        if number is not None:
            self.known.floats[name] = number
        if content is not None and shape is not None:
            return [self._told(name, content, layer, call)]
        return [neutral.Operator(node.name, "tensorflow.Const", (("same", int(same)),), (name,), layer, call)]

    def _inputs(self, node: Node) -> Iterator[tuple[str, Argument]]:
        """Inputs under the names of the schema; what tells shapes and axes as numbers, where they are known."""
        taken = node.data_inputs
        for name, (label, is_parameter) in zip(taken, schema.arguments(node.op, len(taken)), strict=True):
            content = self.known.contents.get(name) if is_parameter else None
            if content is None:
                yield label, Ref(self.known.origin(name) if self._is_handle(name) else name)
            else:
                yield label, content.item() if content.shape == () else tuple(content.ravel().tolist())

    def _is_handle(self, name: str) -> bool:
        return self.known.dtypes.get(name) == dtypes.RESOURCE

    # -- functions

    def function(
        self, name: str, given: Sequence[str], prefix: str, place: tuple[str, int], environment: Any = None
    ) -> tuple[list[neutral.Operator], list[str]]:
        """The operators of a function's body, and the names of what it returns.

        Args:
            name: of the function.
            given: the values that it is given.
            prefix: of the names of everything inside.
            place: layer and call that all of it belongs to.
            environment: its type parameters.
        """
        function = self._graph.function(name)
        if self._depth > _MAX_DEPTH:
            raise ModelFileError(f"functions call each other without end at {prefix.rstrip('/')!r}")
        self._depth += 1
        arguments = [one.name for one in function.signature.input_arg]
        values = {name: [value] for name, value in zip(arguments, given, strict=True)}
        raws = {raw.name: raw for raw in function.node_def}

        def resolved(entry: str) -> str:
            source, _, rest = entry.partition(":")
            if source in raws:
                output, _, number = rest.partition(":")
                return values[source][self._graph.offset(raws[source], output) + int(number or 0)]
            return values[source][0]

        made: list[neutral.Operator] = []
        for raw in _in_order(raws):
            inputs = [resolved(entry) for entry in raw.input if not entry.startswith("^")]
            called = self._graph.called(raw)
            full = prefix + raw.name
            if called is not None:
                inner = dict(raw.attr["f"].func.attr) if raw.op in CALLS else dict(raw.attr)
                operators, values[raw.name] = self.function(called, inputs, f"{full}/", place, inner)
            else:
                node = Node(full, raw.op, inputs, full, 0, raw, environment)
                operators = self.operators(node, place)
                types = self._graph.result_types(node)
                values[raw.name] = [f"{full}:{number}" for number in range(1 if types is None else len(types))]
            made += operators
        self._depth -= 1
        return made, [resolved(function.ret[one.name]) for one in function.signature.output_arg]


def _in_order(raws: Mapping[str, Any]) -> list[Any]:
    """Nodes of a function, each after those that it takes from or waits for."""
    sources = {
        name: [source for entry in raw.input if (source := producer(entry)) in raws] for name, raw in raws.items()
    }
    try:
        return [raws[name] for name in TopologicalSorter(sources).static_order()]
    except CycleError as exc:
        raise ModelFileError("a function waits for itself", "copy or save the model again") from exc


def _attributes(node: Node) -> Iterator[tuple[str, Argument]]:
    for name in node.attribute_names():
        value = node.attr(name)
        field = value.WhichOneof("value") if value is not None else None
        if value is None or name.startswith("_") or field not in ("i", "f", "b", "s", "type", "list"):
            continue
        if field == "list":
            listed = value.list
            found = next((one for one in (listed.i, listed.s) if len(one)), ())
            yield name, tuple(_plain(one) for one in found)
        else:
            yield name, _plain(getattr(value, field))


def _plain(value: Any) -> int | float | str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return int(value) if isinstance(value, bool) else value


def _declared(node: Node) -> Iterator[tuple[int | None, ...] | None]:
    kept = node.attr("_output_shapes")
    yield from (shape_of(shape) for shape in (kept.list.shape if kept is not None else ()))
