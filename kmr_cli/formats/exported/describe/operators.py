"""Programs without modules, as Keras and code that is one function write them: every operator is a layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kmr_cli.formats.exported.describe.calls import ModuleCall
from kmr_cli.formats.exported.describe.program import Node, Program

_MAY_DO_NOTHING = frozenset({"alias", "contiguous", "detach", "detach_", "lift_fresh_copy", "to", "_to_copy"})
"""Where dtype and shape stay, such an operator isn't a layer: a conversion to what the value is already."""


@dataclass(frozen=True)
class Operator:
    """An operator as a layer.

    Attributes:
        calls: the only one.
        weights: names of the parameters that it works with, those included that come to it by way of other operators.
    """

    calls: tuple[ModuleCall, ...]
    weights: tuple[str, ...]


def of(program: Program) -> dict[str, Operator]:
    """The operators that work on what depends on the inputs, by the names of their nodes."""
    graph = program.graph
    live = {one.value for one in program.inputs if one.kind == "user"}
    parameters: dict[str, tuple[str, ...]] = {
        one.value: (one.target,) for one in program.inputs if one.kind == "parameter" and one.value is not None
    }
    found: dict[str, Operator] = {}
    for rank, node in enumerate(graph.nodes):
        behind = tuple(dict.fromkeys(target for name in node.uses for target in parameters.get(name, ())))
        if not any(name in live for name in node.uses):
            parameters.update(dict.fromkeys(node.makes, behind))
            continue
        live.update(node.makes)
        outputs = {name: rank + 1 for name in node.makes if name in graph.tensors}
        if outputs and node.name not in found and not _does_nothing(program, node):
            inputs = {name: rank for name in node.uses if name in graph.tensors and name in live}
            call = ModuleCall(node.name, short(node), rank, rank, inputs, outputs, number=0)
            found[node.name] = Operator((call,), behind)
    return found


def _does_nothing(program: Program, node: Node) -> bool:
    if short(node) not in _MAY_DO_NOTHING:
        return False
    given, made = (list(_metas(program, names)) for names in (node.uses[:1], node.makes))
    return given == made


def _metas(program: Program, names: tuple[str, ...]) -> Iterator[object]:
    return (program.graph.tensors.get(name) for name in names)


def short(node: Node) -> str:
    """``linear`` for ``torch.ops.aten.linear.default``."""
    parts = node.target.split(".")
    return parts[3] if parts[:2] == ["torch", "ops"] and len(parts) > 3 else parts[-1]
