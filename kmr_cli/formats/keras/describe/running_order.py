"""In which order a functional model runs the calls of its layers: by their depth, and not as its config lists them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from kmr_cli.formats.keras.describe.config import LayerConfig, leaves

Node: TypeAlias = "tuple[str, int]"
"""A layer, and the number that its config gives to one of its calls."""


def calls_in_order(model: LayerConfig) -> dict[str, list[int]]:
    """Layer -> the numbers of its calls, as they run; those that no output needs come last.

    As Keras sorts them (``map_graph``, and ``_map_graph_network`` of Keras 2): the depth of a call is how many come
    after it, on the longest way to an output, and what was found for one call of a layer is the least for its others.
    Among calls of one depth those come first that are found first on the way back from the outputs, the last output
    before the others.
    """
    parents = {
        (layer.name, number): [(one.ref.layer, one.ref.node) for one in arguments]
        for layer in model.layers or ()
        for number, arguments in enumerate(layer.calls)
    }
    order = list(_towards_outputs(list(_outputs(model)), parents))
    reached = set(order)
    depths: dict[Node, int] = {}
    of_layers: dict[str, int] = {}
    for node in reversed(order):
        depth = max(depths.setdefault(node, 0), of_layers.get(node[0], 0))
        of_layers[node[0]] = depths[node] = depth
        for parent in parents.get(node, ()):
            if parent in reached:
                depths[parent] = max(depth + 1, depths.get(parent, 0))
    found: dict[str, list[int]] = defaultdict(list)
    for name, number in sorted(depths, key=lambda node: -depths[node]):  # what is equal stays in order
        found[name].append(number)
    for name, number in parents:
        if (name, number) not in reached:
            found[name].append(number)
    return found


def _outputs(model: LayerConfig) -> Iterator[Node]:
    """The calls that give the outputs. Those of a model inside count from 1 here: it was called when it was made."""
    layers = {layer.name: layer for layer in model.layers or ()}
    for ref in leaves(model.outputs):
        layer = layers.get(ref.layer)
        from_one = layer is not None and (layer.functional or ref.node >= len(layer.calls))
        yield ref.layer, max(ref.node - 1, 0) if from_one else ref.node


def _towards_outputs(outputs: list[Node], parents: Mapping[Node, list[Node]]) -> Iterator[Node]:
    """All calls that lead to an output, each after those that it needs."""
    seen: set[Node] = set()
    for output in outputs:
        stack = [(output, iter(parents.get(output, ())))] if output not in seen else []
        seen.add(output)
        while stack:
            node, left = stack[-1]
            parent = next((one for one in left if one not in seen), None)
            if parent is None:
                stack.pop()
                yield node
            else:
                seen.add(parent)
                stack.append((parent, iter(parents.get(parent, ()))))
