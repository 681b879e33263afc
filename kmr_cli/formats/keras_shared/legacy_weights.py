"""The headers of an ``.h5``: its weights go by layer name, with a list of weight names per layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from kmr_cli.formats.keras_shared.config import LayerConfig
from kmr_cli.formats.keras_shared.describe import Sizes, Weights


@dataclass(frozen=True)
class StoredWeight:
    """One weight: the layer it stands under, its name split at ``/``, its place in that layer, scalars."""

    layer: str
    parts: tuple[str, ...]
    number: int
    size: int

    @property
    def key(self) -> str:
        """Unique in the file."""
        return f"{self.layer}#{self.number}"


class LegacyWeights(Weights):
    """The weights of a model, or of one layer of it.

    The file names only the layers of the outermost model; the weights of models inside are told apart by the
    layer names within the weights' own names.
    """

    def __init__(self, weights: list[StoredWeight], *, top: bool = False) -> None:
        self._weights = weights
        self._top = top

    def members(self, layers: list[LayerConfig]) -> list[Weights]:
        """See :class:`Weights`."""
        if self._top:
            return [LegacyWeights([w for w in self._weights if w.layer == layer.name]) for layer in layers]
        owners: dict[str, list[StoredWeight]] = {layer.name: [] for layer in layers}
        for weight in self._weights:
            owner = next((part for part in weight.parts[:-1] if part in owners), None)
            if owner is None:
                return [Weights() for _ in layers]
            owners[owner].append(weight)
        return [LegacyWeights(owners[layer.name]) for layer in layers]

    def sizes(self) -> Sizes | None:
        """See :class:`Weights`."""
        return {weight.key: weight.size for weight in self._weights}


def read_names(group: h5py.Group, attribute: str) -> list[str]:
    """A list of names that may be spread over several attributes (``weight_names0``, ``weight_names1`` …)."""
    if attribute in group.attrs:
        return list(_texts(group.attrs[attribute]))
    names: list[str] = []
    chunk = 0
    while f"{attribute}{chunk}" in group.attrs:
        names += _texts(group.attrs[f"{attribute}{chunk}"])
        chunk += 1
    return names


def _texts(values: Any) -> Iterator[str]:
    for value in np.asarray(values).ravel().tolist():
        yield value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def text_attribute(group: h5py.Group, name: str) -> str | None:
    """One text attribute, or None where it is missing."""
    if name not in group.attrs:
        return None
    value = group.attrs[name]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def read_legacy_weights(file: h5py.File) -> LegacyWeights:
    """Read the names and shapes of all weights, and no values.

    Raises:
        OSError, KeyError, RuntimeError, ValueError: the file is damaged.
    """
    group = file.get("model_weights", file)
    weights = []
    for layer in [*read_names(group, "layer_names"), "top_level_model_weights"]:
        if layer not in group:
            continue
        members = group[layer]
        for number, name in enumerate(read_names(members, "weight_names")):
            dataset = members.get(name)
            size = int(np.prod(dataset.shape, dtype=np.int64)) if isinstance(dataset, h5py.Dataset) else 0
            weights.append(StoredWeight(layer, tuple(name.removesuffix(":0").split("/")), number, size))
    return LegacyWeights(weights, top=True)
