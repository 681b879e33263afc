"""The layers of a model that is a graph of operations: what a format finds out before it makes records of them."""

from __future__ import annotations

from collections.abc import Iterable
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


def fixed_batch(inputs: Iterable[TensorSpec]) -> int | None:
    """The number of samples that all inputs declare alike, or None."""
    sizes = {one.shape[0] if one.shape else None for one in inputs}
    return sizes.pop() if len(sizes) == 1 else None
