"""Branches and loops: which layers run inside them, and with which values.

torch writes no module stack there. What is known all the same: an operator that takes a weight of a module is that
module at work. Modules without weights cannot be distinguished from the code around them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kmr_cli.formats.exported.describe.calls import InnerCall
from kmr_cli.formats.exported.describe.program import Graph, Node, Program, Ref, references

_GIVEN = {"cond": 3, "while_loop": 3, "map_impl": 2, "map": 2, "scan": 3}
"""Operators that run graphs -> place of the operands that every run of these graphs gets as they are."""
NAMES = {"map_impl": "map"}
"""What people call an operator, where its name is another."""


_MAPPED = "torch._functorch.predispatch."
BEGIN_MAPPED, END_MAPPED = f"{_MAPPED}_vmap_increment_nesting", f"{_MAPPED}_vmap_decrement_nesting"
"""Where ``torch.vmap`` begins and ends."""


def mapped(graph: Graph) -> frozenset[int]:
    """Ranks of the nodes inside ``torch.vmap``: the file declares the shapes of one member for what they make."""
    depth, found = 0, set()
    for rank, node in enumerate(graph.nodes):
        depth += (node.target == BEGIN_MAPPED) - (node.target == END_MAPPED)
        if depth:
            found.add(rank)
    return frozenset(found)


def operator(node: Node) -> str | None:
    """What people call the operator that a node runs graphs by, or None."""
    if not node.target.startswith("torch.ops.higher_order.") or not any(True for _ in node.graphs):
        return None
    name = node.target.split(".")[3]
    return NAMES.get(name, name)


def inner_calls(program: Program) -> dict[str, tuple[InnerCall, ...]]:
    """The calls of modules inside of branches and loops, by path."""
    weights = {
        one.value: one.target
        for one in program.inputs
        if one.kind in ("parameter", "buffer") and one.value is not None and "." in one.target
    }
    found: dict[str, list[InnerCall]] = {}
    for call in _inside(program.graph, weights):
        found.setdefault(call.path, []).append(call)
    return {path: tuple(calls) for path, calls in found.items()}


def _inside(graph: Graph, weights: Mapping[str, str]) -> Iterator[InnerCall]:
    for node in graph.nodes:
        place = _GIVEN.get(node.target.split(".")[3]) if operator(node) is not None else None
        if place is None or len(node.positional) <= place:
            continue
        before = [name for value in node.positional[:place] for name in references(value)]
        if node.target.split(".")[3] == "cond":
            before = []  # the condition isn't an operand
        given = list(references(node.positional[place]))
        for inner in node.graphs:
            names = inner.inputs[len(before) :]
            if len(names) != len(given):
                continue
            known = {
                value.name: weights[name]
                for value, name in zip(names, given, strict=True)
                if isinstance(value, Ref) and name in weights
            }
            yield from _calls(inner, known)
            yield from _inside(inner, known)


def _calls(graph: Graph, weights: Mapping[str, str]) -> list[InnerCall]:
    """A module that takes a weight which it has taken already runs once more."""
    made = {name: rank for rank, node in enumerate(graph.nodes) for name in node.makes}
    members: list[tuple[InnerCall, list[int]]] = []
    taken: dict[str, tuple[int, set[str]]] = {}
    for rank, node in enumerate(graph.nodes):
        if operator(node) is not None:
            continue  # it hands weights on to its own graphs
        for path in dict.fromkeys(weights[name].rpartition(".")[0] for name in node.uses if name in weights):
            mine = {weights[name] for name in node.uses if name in weights}
            if path not in taken or taken[path][1] & mine:
                taken[path] = len(members), set()
                members.append((InnerCall(path, node.target.split(".")[3], rank, rank, graph=graph), []))
            call, ranks = members[taken[path][0]]
            call.last = rank
            ranks.append(rank)
            taken[path][1].update(mine)
    for call, ranks in members:
        _ports(call, ranks, weights, made)
    return [call for call, _ in members]


def _ports(call: InnerCall, ranks: list[int], weights: Mapping[str, str], made: Mapping[str, int]) -> None:
    nodes = call.graph.nodes
    own = {name for rank in ranks for name in nodes[rank].makes}
    for rank in ranks:
        for name in nodes[rank].uses:
            if name in call.graph.tensors and name not in own and name not in weights:
                call.inputs.setdefault(name, rank)
    wanted = {name for value in call.graph.outputs for name in references(value)}
    for rank, node in enumerate(nodes):
        wanted |= set(node.uses) if rank not in ranks else set()
    leaving = [name for name in made if name in own and name in wanted and name in call.graph.tensors]
    call.outputs.update({name: made[name] for name in leaving})  # in the order in which they are made
