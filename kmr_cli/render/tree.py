"""The layers of a model as a tree to be read: leaf names under their parents, repeated blocks shown once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from kmr_cli.batch.words import show_shape
from kmr_cli.records import LayerInfo, TensorSpec
from kmr_cli.render.escape import for_terminal

_FEW = 4
"""So many single layers in a row are worth folding; blocks of several are from the second on."""


@dataclass
class Node:
    """A layer, what is inside it, and the part of its path that those above it do not show."""

    layer: LayerInfo
    label: str
    children: list[Node] = field(default_factory=list)

    def size(self) -> int:
        """How many layers it stands for, with those inside it."""
        return 1 + sum(child.size() for child in self.children)


@dataclass(frozen=True)
class Line:
    """One line of the tree: a layer, or a run of blocks that are like the one shown before them.

    Attributes:
        depth: levels of indentation.
        label: what is written for the layer's name.
        layer: that is shown; None for a run that is not.
        alike: of a run, how many blocks it stands for.
        like: of a run, the label of the block that they are like.
    """

    depth: int
    label: str
    layer: LayerInfo | None
    alike: int = 0
    like: str = ""


def lines(layers: Sequence[LayerInfo], separator: str, *, fold: bool = True) -> list[Line]:
    """The tree, a line each.

    Args:
        layers: some or all of a model's, a parent before its children.
        separator: of the parts of a path.
        fold: leave out containers that never run, and all blocks of a run of like ones but the first.
    """
    return list(_written(roots(layers, separator, fold=fold), 0, fold=fold))


def roots(layers: Sequence[LayerInfo], separator: str, *, fold: bool) -> list[Node]:
    """The layers under those that hold them; a container that never runs lends its name to what is inside it."""
    inner = {layer.path.rpartition(separator)[0] for layer in layers}
    known: dict[str, Node] = {}
    roots: list[Node] = []
    for layer in layers:
        if fold and layer.calls == 0 and layer.path in inner:
            continue
        above = layer.path
        while (above := above.rpartition(separator)[0]) and above not in known:
            pass
        label = layer.path[len(above) + len(separator) :] if above else layer.path
        known[layer.path] = node = Node(layer, label)
        (known[above].children if above else roots).append(node)
    return roots


def _written(nodes: Sequence[Node], depth: int, *, fold: bool) -> Iterator[Line]:
    for _, group in groupby(nodes, key=_shape_of if fold else id):
        run = list(group)
        first = run[0]
        folded = len(run) > 1 and (first.children or len(run) >= _FEW)
        for node in run[:1] if folded else run:
            yield Line(depth, node.label, node.layer)
            yield from _written(node.children, depth + 1, fold=fold)
        if folded:
            names = run[1].label if len(run) == 2 else f"{run[1].label} to {run[-1].label}"
            yield Line(depth, names, None, len(run) - 1, first.label)


def _shape_of(node: Node) -> object:
    """What is the same for blocks that differ in nothing but the numbers in their names."""
    layer = node.layer
    ends = tuple((spec.shape, spec.symbols, spec.dtype, spec.kind) for spec in layer.outputs)
    inside = tuple(map(_shape_of, node.children))
    return _without_numbers(node.label), layer.type, ends, layer.parameters, layer.calls, layer.untappable, inside


def _without_numbers(label: str) -> str:
    """``layer.7`` and ``layer.12`` are the same, and so are ``block`` and ``block_3``."""
    return re.sub(r"(?:_#)+$", "", re.sub(r"\d+", "#", label))


def shapes_of(specs: Sequence[TensorSpec]) -> list[str]:
    """The shapes that are declared; what isn't a tensor in words."""
    return [
        for_terminal(spec.kind) if spec.kind is not None else show_shape(spec.shape, spec.symbols)
        for spec in specs
        if spec.shape is not None or spec.kind is not None
    ]
