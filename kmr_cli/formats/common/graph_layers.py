"""The layers of a model that is a graph of operations: what a format finds out before it makes records of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kmr_cli.records import TensorSpec


@dataclass(frozen=True)
class Call:
    """One run of a layer.

    Attributes:
        inputs: the values that enter, in port order.
        entered: for each of them the number of the layer's node that takes it first, in the order of the graph.
        outputs: the values that leave, in port order.
    """

    inputs: tuple[str, ...] = ()
    entered: tuple[int, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        path: as the user types it.
        kind: its type, as far as the graph tells.
        calls: its runs, in order.
        weights: what it and the layers inside it read, by the names that the graph has for it.
    """

    path: str
    kind: str
    calls: tuple[Call, ...]
    weights: tuple[str, ...]


def values_at_taps(layers: Iterable[Layer]) -> Iterator[tuple[tuple[str, int, str], str]]:
    """(layer, call, port) -> the value there: what enters and leaves every call of every layer."""
    for layer in layers:
        for number, call in enumerate(layer.calls):
            for side, values in (("in", call.inputs), ("out", call.outputs)):
                for place, value in enumerate(values):
                    yield (layer.path, number, f"{side}{place}"), value


def fixed_batch(inputs: Iterable[TensorSpec]) -> int | None:
    """The number of samples that all inputs declare alike, or None."""
    sizes = {one.shape[0] if one.shape else None for one in inputs}
    return sizes.pop() if len(sizes) == 1 else None


def reaching(
    inputs: Mapping[str, str], nodes: Iterable[tuple[Iterable[str], Iterable[str]]]
) -> dict[str, frozenset[str]]:
    """Value -> the model's inputs that it depends on.

    Args:
        inputs: value of the graph -> name of the input.
        nodes: what each reads and makes, in an order in which they can run.
    """
    found = {value: frozenset([name]) for value, name in inputs.items()}
    nothing: frozenset[str] = frozenset()
    for reads, makes in nodes:
        known = nothing.union(*(found.get(value, nothing) for value in reads))
        if known:
            found.update(dict.fromkeys(makes, known))
    return found


def inputs_of_calls(
    calls: Sequence[Iterable[str]], known: Mapping[str, frozenset[str]], names: Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    """Of each call of a layer the model's inputs that it depends on; none where all depend on the same.

    Args:
        calls: the values that enter each.
        known: of :func:`reaching`.
        names: of the model's inputs, in its order.
    """
    sets = [frozenset[str]().union(*(known.get(value, frozenset()) for value in call)) for call in calls]
    if len(set(sets)) < 2:
        return ()
    return tuple(tuple(name for name in names if name in one) for one in sets)
