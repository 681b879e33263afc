"""What loops and branches run: graphs of their own, with the layers in them.

A run of the model can be told to hand out the values in there, except where the standard gives it no way to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from kmr_cli.formats.onnx.describe.flow import SHAPE_OPS, STANDARD, Flow, Node, bodies, captured
from kmr_cli.formats.onnx.describe.graph import BRANCHES, LOOPS, Graph
from kmr_cli.formats.onnx.describe.layers import NodeLayer, find_layers
from kmr_cli.formats.onnx.describe.scopes import Scopes, find_inside
from kmr_cli.formats.onnx.describe.types import value_type
from kmr_cli.formats.onnx.describe.weights import Weights

Place: TypeAlias = "tuple[tuple[int, str], ...]"
"""Where a body stands: number of the operator and name of the attribute, from the outermost graph inwards."""

_OPENED = {"Loop": 1, "Scan": 9, "If": 11}
"""The first opset in which each can hand out what it computes: a Scan of 8 differs, branches had to agree in shape."""
_BRANCHES = {"then_branch": ("then",), "else_branch": ("else",)}


@dataclass(frozen=True)
class Body:
    """A graph that a loop or a branch runs.

    Attributes:
        place: where it stands.
        operator, kind: path and type of the loop or branch that runs it.
        graph: its nodes.
        weights: what they may read.
        layers: in it, by their whole path; their values are named as in this graph.
    """

    place: Place
    operator: str
    kind: str
    graph: Inside
    weights: Weights
    layers: tuple[NodeLayer, ...]


class Inside(Flow):
    """The graph of a body.

    Args:
        message: its GraphProto.
        node: that runs it.
        outer: the graph which that stands in.
    """

    def __init__(self, message: Any, node: Node, outer: Flow) -> None:
        self.path = outer.path
        self.message = message
        self.nodes = tuple(Node.of(number, one, captured(one)) for number, one in enumerate(message.node))
        self.outputs = tuple(one.name for one in message.output)
        self.initializers = outer.initializers | {one.name: one for one in message.initializer}
        self.sparse = outer.sparse | {one.values.name: one for one in message.sparse_initializer}
        declared = (*message.value_info, *message.output, *message.input)
        self.types = outer.types | {one.name: value_type(one.type) for one in declared}
        around = tuple(name for name in node.reads if name in outer.live)
        self.inputs = (*_live_inputs(message, node, outer), *around)


def _live_inputs(message: Any, node: Node, outer: Flow) -> list[str]:
    """The inputs of a body that hold samples: what a loop begins with, or what one of its rounds makes of that."""
    given = list(node.message.input)
    names = [one.name for one in message.input]
    if node.op in BRANCHES:
        return []
    if node.op == "Scan":
        count = node.attribute("num_scan_inputs")
        carried, first = max(len(names) - (count.i if count is not None else 0), 0), 0
        before = dict(zip(names, given, strict=False))
    else:
        carried, first = max(len(names) - 2, 0), 1  # behind the round's number and the condition
        before = dict(zip(names[2:], given[2:], strict=False))
    found = {name for name, start in before.items() if start in outer.live}
    states = names[2:] if node.op != "Scan" else names[:carried]
    results = [one.name for one in message.output][first : first + carried]
    while True:  # until a round makes nothing live any more that was not before
        live = found | {name for name in node.reads if name in outer.live}
        for one in message.node:
            if one.op_type not in SHAPE_OPS and any(name in live for name in captured(one)):
                live.update(name for name in one.output if name)
        more = {state for state, result in zip(states, results, strict=False) if result in live} - found
        if not more:
            return [name for name in names if name in found]
        found |= more


def find_bodies(graph: Graph, scopes: Scopes, weights: Weights, layers: tuple[NodeLayer, ...]) -> tuple[Body, ...]:
    """Every body whose values can be handed out, those around others first."""
    finder = _Finder(graph.imports.get("", 0), {layer.path for layer in layers})
    return tuple(finder.within(graph, scopes, weights, layers, ()))


def closed(graph: Graph) -> list[Node]:
    """Loops and branches of the graph in which nothing can be tapped, or not all."""
    opset = graph.imports.get("", 0)
    return [node for node in graph.nodes if _is_control(node.message) and not _opens_all(node.message, opset)]


def _is_control(message: Any) -> bool:
    return message.domain in STANDARD and message.op_type in LOOPS | BRANCHES


def _opens(operator: str, opset: int) -> bool:
    """Whether an operator can hand out what it computes inside."""
    return operator in _OPENED and opset >= _OPENED[operator]


def _opens_all(message: Any, opset: int) -> bool:
    inner = [one for body in bodies(message) for one in body.node if _is_control(one)]
    if not _opens(message.op_type, opset) or (inner and message.op_type == "Scan"):
        return False  # a Scan passes on tensors only, all of one shape
    return all(_opens_all(one, opset) for one in inner)


class _Finder:
    def __init__(self, opset: int, taken: set[str]) -> None:
        self._opset, self._taken = opset, taken

    def within(
        self, outer: Flow, scopes: Scopes, weights: Weights, layers: tuple[NodeLayer, ...], place: Place
    ) -> Iterator[Body]:
        """The bodies of a graph's nodes, and those inside them."""
        paths = {call.nodes: layer.path for layer in layers for call in layer.calls}
        for node in outer.nodes:
            path = paths.get((node.number,))
            if path is None or not _is_control(node.message) or not _opens(node.op, self._opset):
                continue
            for name in ("body", *_BRANCHES):
                attribute = node.attribute(name)
                if attribute is None or not attribute.HasField("g"):
                    continue
                graph = Inside(attribute.g, node, outer)
                inside = find_inside(scopes, scopes.places[node.number].scopes, graph)
                mine = Weights(graph, weights)
                prefix = scopes.separator.join([path, *_BRANCHES.get(name, ()), ""])
                found = tuple(self._named(prefix, layer) for layer in find_layers(graph, inside, mine))
                here = (*place, (node.number, name))
                yield Body(here, path, node.op, graph, mine, found)
                if node.op != "Scan":
                    yield from self.within(graph, inside, mine, found, here)

    def _named(self, prefix: str, layer: NodeLayer) -> NodeLayer:
        path, number = prefix + layer.path, 2
        while path in self._taken:
            path, number = f"{prefix}{layer.path}#{number}", number + 1
        self._taken.add(path)
        return replace(layer, path=path)
