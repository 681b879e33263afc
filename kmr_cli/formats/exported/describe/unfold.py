"""Graphs that only wrap a part of the forward code (``torch.no_grad()``, ``autocast``) unfold into what is around.

So the layers inside them can be tapped. Autocast leaves two marks, where it begins and where it ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from kmr_cli.formats.exported.describe.program import Argument, Graph, Meta, Node, Ref, SubGraph
from kmr_cli.formats.exported.describe.sizes import Expression

BEGIN_AUTOCAST = "autocast.begin"
END_AUTOCAST = "autocast.end"
_WRAPPERS = {
    "torch.ops.higher_order.wrap_with_set_grad_enabled": 1,
    "torch.ops.higher_order.wrap_with_autocast": 4,
    "torch.ops.higher_order.invoke_subgraph": 0,
}
"""Operators that run the graph at this place of their arguments once, on the arguments that follow it."""


def unfolded(graph: Graph) -> Graph:
    """The graph with the nodes of wrapped graphs in their place."""
    tensors, numbers, expressions = dict(graph.tensors), dict(graph.numbers), dict(graph.expressions)
    names: dict[str, str] = {}
    nodes = list(_unfold(graph.nodes, names, tensors, numbers, expressions))
    outputs = tuple(renamed(value, names) for value in graph.outputs)
    return Graph(graph.inputs, outputs, tuple(nodes), tensors, numbers, expressions)


def _unfold(
    nodes: tuple[Node, ...],
    names: dict[str, str],
    tensors: dict[str, Meta],
    numbers: dict[str, int | None],
    expressions: dict[str, Expression | None],
) -> Iterator[Node]:
    """The nodes with wrapped ones in their place; ``names`` are other names of values, and grow."""
    for original in nodes:
        node = replace(
            original,
            positional=tuple(renamed(value, names) for value in original.positional),
            keywords=tuple((key, renamed(value, names)) for key, value in original.keywords),
            outputs=tuple(renamed(value, names) for value in original.outputs),
        )
        place = _WRAPPERS.get(node.target)
        wrapped = node.positional[place] if place is not None and len(node.positional) > place else None
        if place is None or not isinstance(wrapped, SubGraph):
            yield node
            continue
        inner = wrapped.graph
        given = node.positional[place + 1 :]
        if node.target.endswith("invoke_subgraph"):
            given = given[1:]  # its identifier comes first
        if len(given) == 1 and isinstance(given[0], list):
            given = tuple(given[0])
        inside = {name: f"{node.name}/{name}" for name in (*inner.tensors, *inner.numbers)}
        tensors |= {inside[name]: meta for name, meta in inner.tensors.items()}
        expressions |= {inside[name]: value for name, value in inner.expressions.items()}
        numbers |= {inside[name]: value for name, value in inner.numbers.items()}
        for parameter, value in zip(inner.inputs, given, strict=True):
            if isinstance(parameter, Ref) and isinstance(value, Ref):
                inside[parameter.name] = value.name
        marks = place == _WRAPPERS["torch.ops.higher_order.wrap_with_autocast"]
        if marks:
            yield Node(f"{node.name}/begin", BEGIN_AUTOCAST, node.positional[:4], (), (), node.stack)
        for one in _unfold(inner.nodes, inside, tensors, numbers, expressions):
            yield replace(one, stack=one.stack or node.stack)
        if marks:
            yield Node(f"{node.name}/end", END_AUTOCAST, (), (), (), node.stack)
        results = [renamed(value, inside) for value in inner.outputs]
        made = node.outputs[0] if len(node.outputs) == 1 and isinstance(node.outputs[0], list) else list(node.outputs)
        for outside, value in zip(made, results, strict=True):
            if isinstance(outside, Ref) and isinstance(value, Ref):
                names[outside.name] = value.name


def renamed(value: Argument, names: Mapping[str, str]) -> Any:
    """The argument with other names for values."""
    if isinstance(value, Ref):
        return Ref(names[value.name]) if value.name in names else value
    if isinstance(value, list):
        return [renamed(item, names) for item in value]
    return value
