"""From which of the model's inputs every call of a layer is, as a functional config wires them."""

from __future__ import annotations

from collections import defaultdict
from typing import TypeAlias

from kmr_cli.formats.keras.describe.config import Argument, LayerConfig, leaves
from kmr_cli.formats.keras.describe.running_order import calls_in_order

Names: TypeAlias = "frozenset[str]"
_MOST = 64
"""Calls of one layer that are followed: models in models multiply them."""


def call_inputs(root: LayerConfig) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Path -> of each call the model's inputs that it depends on, in models with several.

    Layers whose calls all depend on the same are left out.
    """
    names = [ref.layer for ref in leaves(root.inputs)] if root.functional else []
    if len(names) < 2:
        return {}
    found: dict[str, list[Names]] = defaultdict(list)
    try:
        _follow(root, "", [[frozenset([name]) for name in names]], found)
    except RecursionError:  # layers that feed each other: the model will not load either
        return {}
    return {
        path: tuple(tuple(name for name in names if name in call) for call in calls)
        for path, calls in found.items()
        if len(set(calls)) > 1 and len(calls) <= _MOST
    }


def _follow(model: LayerConfig, prefix: str, entering: list[list[Names]], found: dict[str, list[Names]]) -> None:
    """Note all calls of the layers of a model.

    Args:
        model: functional or Sequential.
        prefix: of its layers' paths.
        entering: of each call of it, what each of its inputs depends on.
        found: is filled.
    """
    assert model.layers is not None
    inside: dict[str, list[list[Names]]] = defaultdict(list)
    order = calls_in_order(model) if model.functional else {}
    for given in entering[:_MOST]:
        wires = _Wires(model, given)
        for layer in model.layers:
            if layer.name in wires.entries:
                found[prefix + layer.name].append(wires.entries[layer.name])
                continue
            for arguments in _calls(layer, order[layer.name]) if model.functional else [None]:
                reaching = wires.all if arguments is None else [wires.of(one) for one in arguments]
                found[prefix + layer.name].append(frozenset[str]().union(*reaching))
                inside[layer.name].append(reaching)
    for layer in model.layers:
        if layer.layers is not None and inside[layer.name]:
            _follow(layer, f"{prefix}{layer.name}/", inside[layer.name], found)


def _calls(layer: LayerConfig, numbers: list[int]) -> list[list[Argument]]:
    """The arguments of these calls of a layer; a damaged config may refer to others than it has."""
    return [layer.calls[number] for number in numbers if 0 <= number < len(layer.calls)]


class _Wires:
    """What the values of a model depend on during one call of it.

    Args:
        model: whose they are.
        given: what each of its inputs depends on.

    Attributes:
        all: what any of them depends on.
        entries: input layer -> what it depends on.
    """

    def __init__(self, model: LayerConfig, given: list[Names]) -> None:
        self.all = [frozenset[str]().union(*given)]
        names = [ref.layer for ref in leaves(model.inputs)] if model.functional else []
        fits = len(names) == len(given)
        self.entries = {name: given[place] if fits else self.all[0] for place, name in enumerate(names)}
        self._known: dict[tuple[str, int], Names] = {(name, 0): found for name, found in self.entries.items()}
        self._layers = {layer.name: layer for layer in model.layers or ()}

    def of(self, argument: Argument) -> Names:
        """What an argument depends on."""
        return self._of(argument.ref.layer, argument.ref.node)

    def _of(self, name: str, number: int) -> Names:
        key = (name, number)
        if key not in self._known:
            layer = self._layers.get(name)
            calls = _calls(layer, [number]) if layer is not None else []
            self._known[key] = frozenset[str]().union(*(self.of(one) for call in calls for one in call))
        return self._known[key]
