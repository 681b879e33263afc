"""The graphs that ``If`` and ``Loop`` run: their values get names of their own, and shapes as those outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kmr_cli.formats.onnx.describe.flow import Node, captured
from kmr_cli.formats.onnx.describe.inline import Names, rewrite
from kmr_cli.formats.onnx.operators.known import Known
from kmr_cli.proof.graph import Body, Operator, Ref
from kmr_cli.proof.sizes import Shape, symbol

Build = Callable[[Node], Operator]
Weigh = Callable[[str, Any], None]


@dataclass(frozen=True)
class Bodies:
    """What an operator runs.

    Attributes:
        graphs: in the order in which the rule wants them: the branch that is taken, and the other; the loop.
        results: name, shape and dtype of what the operator makes.
    """

    graphs: tuple[Body, ...]
    results: tuple[tuple[str, Shape | None, str | None], ...]


def control(node: Node, known: Known, build: Build, weigh: Weigh) -> Bodies | None:
    """The bodies of a branch or a loop; None for every other operator.

    Args:
        node: the operator.
        known: shapes so far; those of the bodies' values are added.
        build: from a node inside to its operator.
        weigh: takes note of a constant inside.
    """
    if node.domain or node.op not in ("If", "Loop"):
        return None
    if node.op == "If":
        return _branches(node, known, build, weigh)
    return _loop(node, known, build, weigh)


def _branches(node: Node, known: Known, build: Build, weigh: Weigh) -> Bodies | None:
    graphs = [node.attribute(name) for name in ("then_branch", "else_branch")]
    if any(one is None or not one.HasField("g") for one in graphs):
        return None
    bodies = [_body(one.g, f"{_label(node)}/{one.name}/", {}, known, build, weigh) for one in graphs]
    pairs = zip(node.outputs, bodies[0].outputs, bodies[1].outputs, strict=True)
    results = [(name, _common(known, one, other)) for name, one, other in pairs]
    return Bodies(tuple(bodies), tuple((name, shape, None) for name, shape in results if name))


def _common(known: Known, one: Any, other: Any) -> Shape | None:
    shapes = [known.shapes.get(value.name) for value in (one, other)]
    return shapes[0] if shapes[0] == shapes[1] else None


def _loop(node: Node, known: Known, build: Build, weigh: Weigh) -> Bodies | None:
    graph = node.attribute("body")
    if graph is None or not graph.HasField("g"):
        return None
    start = list(node.message.input)[2:]
    shapes: list[Shape | None] = [(), (), *(known.shapes.get(name) for name in start)]
    dtypes = ["int64", "bool", *(known.dtypes.get(name) for name in start)]
    prefix = f"{_label(node)}/body/"
    for _ in range(2):  # once more without those shapes that a round changes
        given = {one.name: shape for one, shape in zip(graph.g.input, shapes, strict=True)}
        known.dtypes.update(
            {prefix + one.name: dtype for one, dtype in zip(graph.g.input, dtypes, strict=True)}
        )  # fmt: skip
        body = _body(graph.g, prefix, given, known, build, weigh)
        after = [known.shapes.get(value.name) for value in body.outputs if isinstance(value, Ref)]
        carried = after[1 : 1 + len(start)]
        if carried == shapes[2:]:
            break
        shapes[2:] = [one if one == other else None for one, other in zip(shapes[2:], carried, strict=True)]
    # How many rounds there are is not known here: the length of what is put together from them is a symbol of its own.
    rounds = symbol(f"{prefix}rounds")
    gathered = [None if one is None else (rounds, *one) for one in after[1 + len(start) :]]
    found = [*shapes[2:], *gathered]
    return Bodies((body,), tuple((name, shape, None) for name, shape in zip(node.outputs, found, strict=True) if name))


def _label(node: Node) -> str:
    """A name that no other operator has: of what it makes, which in a body has the names of all around it before it."""
    return next((name for name in node.outputs if name), f"{node.name or node.op}_{node.number}")


def _body(graph: Any, prefix: str, given: Mapping[str, Shape | None], known: Known, build: Build, weigh: Weigh) -> Body:
    """One graph, its own values renamed, those of around it as they are."""
    names = {one.name: prefix + one.name for one in (*graph.input, *graph.initializer)}
    names |= {name: prefix + name for node in graph.node for name in node.output if name}
    for name in names.values():  # of an earlier round, which may have known more
        known.contents.pop(name, None)
        known.shapes.pop(name, None)
    for one in graph.initializer:
        weigh(names[one.name], one)
    for name, shape in given.items():
        known.shapes[names[name]] = shape
    operators = [build(_renamed(message, names, number)) for number, message in enumerate(graph.node)]
    return Body(
        tuple(names[one.name] for one in graph.input),
        tuple(operators),
        tuple(Ref(names.get(one.name, one.name)) for one in graph.output),
    )


def _renamed(message: Any, names: Mapping[str, str], number: int) -> Node:
    copy = type(message)()
    copy.CopyFrom(message)
    rewrite(copy, Names(names, ""), {})
    reads = captured(copy)
    domain = "" if message.domain == "ai.onnx" else message.domain
    return Node(number, message.op_type, domain, message.name, reads, tuple(copy.output), (), copy)
