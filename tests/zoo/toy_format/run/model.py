"""The operators, and a model of them in memory."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..describe.archive import Graph, read_graph, weight_names

Weights = dict[str, np.ndarray]


class ToyModel:
    """A graph with its weights; ``model(batch)`` is what a user of toys calls."""

    def __init__(self, graph: Graph, weights: dict[str, Weights]) -> None:
        self.graph, self.weights = graph, weights

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs by name."""
        values = dict(batch)
        for step in self.graph.steps:
            taken = [None if name is None else values[name] for name in step.takes]
            values[step.makes] = self.run(step.layer, taken)
        return {name: values[value] for name, value in self.graph.outputs.items()}

    def run(self, layer: str, taken: list[np.ndarray | None]) -> np.ndarray:
        """One call of a layer."""
        said = self.graph.layers[layer]
        return OPERATORS[said["operator"]](said, self.weights.get(layer, {}), [x for x in taken if x is not None])


def load(path: Path) -> ToyModel:
    """Read graph and weights."""
    weights: dict[str, Weights] = {}
    graph = read_graph(path)
    with zipfile.ZipFile(path) as archive:
        for member, layer, weight in weight_names(archive):
            with archive.open(member) as file:
                weights.setdefault(layer, {})[weight] = np.lib.format.read_array(file)
    return ToyModel(graph, weights)


def _dense(_: dict[str, Any], weights: Weights, taken: list[np.ndarray]) -> np.ndarray:
    # einsum goes row by row: a sample's last bits do not depend on how many there are, as they do with BLAS.
    return np.einsum("...i,io->...o", taken[0], weights["kernel"], optimize=False) + weights["bias"]


def _relu(_: dict[str, Any], __: Weights, taken: list[np.ndarray]) -> np.ndarray:
    return np.maximum(taken[0], np.float32(0), out=taken[0]) if taken[0].flags.owndata else np.maximum(taken[0], 0)


def _batch_mean(_: dict[str, Any], __: Weights, taken: list[np.ndarray]) -> np.ndarray:
    return taken[0] - taken[0].mean(axis=0, keepdims=True)


def _reshape(said: dict[str, Any], _: Weights, taken: list[np.ndarray]) -> np.ndarray:
    return taken[0].reshape(-1, *said["shape"])


def _add(_: dict[str, Any], __: Weights, taken: list[np.ndarray]) -> np.ndarray:
    return np.sum(taken, axis=0, dtype=np.float32)


OPERATORS: dict[str, Callable[[dict[str, Any], Weights, list[np.ndarray]], np.ndarray]] = {
    "dense": _dense,
    "relu": _relu,
    "batch_mean": _batch_mean,
    "reshape": _reshape,
    "add": _add,
}
