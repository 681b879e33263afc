"""Numbers that a trace keeps as tensors without axes: torch's optimizing executor takes four operators' for numbers.

``positions * 0.1`` of whole numbers is float32 there, as in Python, and float64 where the tensor is taken as it is,
which the next layer may refuse.
"""

from __future__ import annotations

from typing import Any

_OPERATORS = frozenset(f"aten::{name}" for name in ("add", "sub", "mul", "div"))
"""Those of which torch's pass CanonicalizeOps replaces the second argument."""


def take_for_numbers(graph: Any) -> None:
    """Do in a graph that has not run what the optimizing executor would do first; with that of tasks that it forks."""
    _in_block(graph, graph)


def _in_block(graph: Any, block: Any) -> None:
    for node in list(block.nodes()):
        for inner in node.blocks():
            _in_block(graph, inner)
        if node.kind() == "prim::fork":
            take_for_numbers(node.g("Subgraph"))
        number = _second(node) if node.kind() in _OPERATORS else None
        if number is not None:
            graph.setInsertPoint(node)
            node.replaceInput(1, graph.insertConstant(number))


def _second(node: Any) -> int | float | None:
    """The second argument of an operator, where it is a constant tensor of one real number without an axis."""
    import torch

    maker = list(node.inputs())[1].node()
    if maker.kind() != "prim::Constant" or maker.output().type().kind() != "TensorType":
        return None
    value = maker.output().toIValue()
    if not isinstance(value, torch.Tensor) or value.dim() or value.dtype == torch.bool or value.dtype.is_complex:
        return None
    number: int | float = value.item()
    return number
