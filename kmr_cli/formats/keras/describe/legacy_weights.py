"""The headers of an ``.h5``: its weights go by layer name, with a list of weight names per layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from kmr_cli.formats.keras.describe.config import LayerConfig
from kmr_cli.formats.keras.describe.describe import Sizes, Weights


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


MAX_NAMES = 1_000_000
"""Entries of an attribute. A damaged one may claim any number, and HDF5 makes room for them before it looks."""


def member(group: h5py.Group, path: str) -> h5py.Group | h5py.Dataset | None:
    """What ``path`` names below a group, or None. Links to another place or file are not followed.

    HDF5 itself opens whatever an external link names, and waits for ever on a FIFO.

    Raises:
        ValueError: a link to another place is on the way.
    """
    found: Any = group
    for part in filter(None, path.split("/")):
        if not isinstance(found, h5py.Group) or not found.id.links.exists(part.encode()):
            return None
        if found.id.links.get_info(part.encode()).type != h5py.h5l.TYPE_HARD:
            raise ValueError(f"{path!r} is a link to another place")
        found = found[part]
    return found if isinstance(found, (h5py.Group, h5py.Dataset)) else None


def read_names(group: h5py.Group, attribute: str) -> list[str]:
    """A list of names that may be spread over several attributes (``weight_names0``, ``weight_names1`` …)."""
    if attribute in group.attrs:
        return list(_texts(_attribute(group, attribute)))
    names: list[str] = []
    chunk = 0
    while f"{attribute}{chunk}" in group.attrs:
        names += _texts(_attribute(group, f"{attribute}{chunk}"))
        chunk += 1
    return names


def _attribute(group: h5py.Group, name: str) -> Any:
    if np.prod(group.attrs.get_id(name).shape or (), dtype=np.float64) > MAX_NAMES:
        raise ValueError(f"{name} claims more than {MAX_NAMES} entries")
    return group.attrs[name]


def _texts(values: Any) -> Iterator[str]:
    for value in np.asarray(values).ravel().tolist():
        yield value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def text_attribute(group: h5py.Group, name: str) -> str | None:
    """One text attribute, or None where it is missing."""
    if name not in group.attrs:
        return None
    value = _attribute(group, name)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def read_legacy_weights(file: h5py.File) -> LegacyWeights:
    """Read the names and shapes of all weights, and no values.

    Raises:
        OSError, KeyError, RuntimeError, ValueError: the file is damaged.
    """
    group = member(file, "model_weights") or file
    weights = []
    for layer in [*read_names(group, "layer_names"), "top_level_model_weights"]:
        members = member(group, layer) if isinstance(group, h5py.Group) else None
        if members is None:
            continue
        for number, name in enumerate(read_names(members, "weight_names")):
            dataset = member(members, name) if isinstance(members, h5py.Group) else None
            size = int(np.prod(dataset.shape, dtype=np.int64)) if isinstance(dataset, h5py.Dataset) else 0
            weights.append(StoredWeight(layer, tuple(name.removesuffix(":0").split("/")), number, size))
    return LegacyWeights(weights, top=True)
