"""Where the layers of a live Keras model are: the same names that ``describe`` reads from the file.

Layers of functional and Sequential models go by their names, which the config restores. Inside anything else names
may come from a counter that the process keeps (``dense_7``), so there a layer goes by the attribute that holds it,
and in a list or dictionary by its position: exactly the walk that Keras makes to save the weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kmr_cli.formats.keras.describe.config import LayerConfig
from kmr_cli.formats.keras.describe.names import container_entries
from kmr_cli.formats.keras.describe.parts import loop_reason


@dataclass
class Place:
    """One layer at one path. A layer that two models share has several places.

    Attributes:
        path: from the root.
        layer: the live object.
        config: its config in the file, or None.
        parent: path of the layer or model that holds it.
        untappable: why it cannot be tapped, or None.
    """

    path: str
    layer: Any
    config: LayerConfig | None
    parent: str
    untappable: str | None = None


@dataclass
class Places:
    """All places of a model, in the order of the walk."""

    places: list[Place] = field(default_factory=list)
    by_object: dict[int, list[Place]] = field(default_factory=dict)
    by_path: dict[str, Place] = field(default_factory=dict)

    def add(self, place: Place) -> None:
        """Add one; a path that exists already keeps its first owner."""
        if place.path in self.by_path:
            return
        self.places.append(place)
        self.by_path[place.path] = place
        self.by_object.setdefault(id(place.layer), []).append(place)


def find_places(model: Any, config: LayerConfig | None) -> Places:
    """Walk a live model.

    Args:
        model: a built Keras model.
        config: its config, which tells whose names are restored; None if it has none.
    """
    walker = _Walker()
    walker.visited.add(id(model))
    if config is None and not _is_model(model):
        walker.inside(model, None, "", None)
    elif _is_model(model):
        walker.model(model, config, "", None, named=config is None or config.layers is not None)
    else:
        walker.inside(model, config, "", None)
    return walker.found


def is_built_in(layer: Any) -> bool:
    """Whether its class is Keras' own."""
    return type(layer).__module__.split(".")[0] == "keras"


def _is_model(layer: Any) -> bool:
    return layer._obj_type() in ("Functional", "Sequential") if hasattr(layer, "_obj_type") else False


def _is_subclassed(layer: Any) -> bool:
    import keras

    return isinstance(layer, keras.Model) and not _is_model(layer)


class _Walker:
    def __init__(self) -> None:
        self.found = Places()
        self.visited: set[int] = set()

    def place(self, layer: Any, config: LayerConfig | None, path: str, parent: str, reason: str | None) -> None:
        self.found.add(Place(path, layer, config, parent, reason))
        self.visited.add(id(layer))
        named = config is not None and config.layers is not None
        if _is_model(layer):
            self.model(layer, config, f"{path}/", reason, named=named)
        else:
            self.inside(layer, config, f"{path}/", reason)

    def model(self, model: Any, config: LayerConfig | None, prefix: str, reason: str | None, *, named: bool) -> None:
        """The layers of a functional or Sequential model."""
        if named:
            members = members_by_name(model, config)
        else:
            members = [(name, op, None) for name, op in _members_by_position(model)]
        for name, member, member_config in members:
            self.place(member, member_config, prefix + name, prefix[:-1], reason)
        if not is_built_in(model):  # a subclass of a functional model may hold more than its graph
            self.attributes(model, None, prefix, reason)

    def inside(self, layer: Any, config: LayerConfig | None, prefix: str, reason: str | None) -> None:
        """What a layer that isn't a functional or Sequential model holds."""
        if is_built_in(layer):
            if not layer_children(layer):
                return  # most layers: spares reading some two hundred attributes
            reason = loop_reason(type(layer).__name__, prefix[:-1]) or reason
        self.attributes(layer, config, prefix, reason)

    def attributes(self, layer: Any, config: LayerConfig | None, prefix: str, reason: str | None) -> None:
        from keras.src.saving.saving_lib import _walk_saveable

        walk = list(_walk_saveable(layer))
        if _is_subclassed(layer):
            # Every layer of a model is in its ``layers``, too; the attribute's own name says more.
            walk.sort(key=lambda item: item[0] == "layers")
        for attribute, value in walk:
            if attribute == "layers" and _is_model(layer):
                continue
            if _is_operation(value):
                if id(value) not in self.visited:
                    child = config.child(attribute) if config is not None else None
                    self.place(value, child, prefix + attribute, prefix[:-1], reason)
            elif isinstance(value, (list, dict, tuple)):
                self.container(value, prefix + attribute, prefix[:-1], reason, set())

    def container(self, container: Any, path: str, parent: str, reason: str | None, seen: set[int]) -> None:
        if id(container) in seen:
            return
        seen.add(id(container))
        position = 0
        for value in list(container.values()) if isinstance(container, dict) else container:
            if isinstance(value, (list, dict, tuple)):
                if _holds_unvisited(value, self.visited):
                    self.container(value, f"{path}/{position}", parent, reason, seen)
                    position += 1
            elif _is_saveable(value) and id(value) not in self.visited:
                if _is_operation(value):
                    self.place(value, None, f"{path}/{position}", parent, reason)
                else:
                    self.visited.add(id(value))
                position += 1


def layer_children(layer: Any) -> list[Any]:
    """The layers that a layer tracks."""
    return list(getattr(layer, "_layers", None) or ())


def members_by_name(model: Any, config: LayerConfig | None) -> list[tuple[str, Any, LayerConfig | None]]:
    """The layers and operations of a functional or Sequential model under their names in the config.

    A class whose constructor takes no name gets a new one whenever it is loaded; the config keeps the old, and
    its entries stand in the order of the model's operations.
    """
    members = list(model.operations) if model._obj_type() == "Functional" else list(model._layers)
    entries = config.layers if config is not None and config.layers is not None else []
    if len(entries) == len(members) and all(
        type(member).__name__ == entry.class_name or member.name == entry.name
        for member, entry in zip(members, entries, strict=False)
    ):
        return [(entry.name, member, entry) for member, entry in zip(members, entries, strict=False)]
    known = {entry.name: entry for entry in entries}
    return [(member.name, member, known.get(member.name)) for member in members]


def _members_by_position(model: Any) -> list[tuple[str, Any]]:
    """The layers of a model whose names are not restored: by position; its operations by class and a counter."""
    layers = list(model.layers)
    named = [(str(i), layer) for i, layer in enumerate(layers)]
    if model._obj_type() == "Functional":
        known = {id(layer) for layer in layers}
        others = [op for op in model.operations if id(op) not in known]
        named += zip(container_entries(type(op).__name__ for op in others), others, strict=False)
    return named


def _is_saveable(value: Any) -> bool:
    from keras.src.saving.keras_saveable import KerasSaveable

    return isinstance(value, KerasSaveable)


def _is_operation(value: Any) -> bool:
    import keras

    return isinstance(value, keras.Operation) and not isinstance(value, keras.Metric)


def _holds_unvisited(container: Any, visited: set[int], depth: int = 0) -> bool:
    """Whether a nested container leaves a trace in a weights file."""
    if depth > 50:
        return False
    for value in container.values() if isinstance(container, dict) else container:
        if isinstance(value, (list, dict, tuple)):
            if _holds_unvisited(value, visited, depth + 1):
                return True
        elif _is_saveable(value) and id(value) not in visited:
            return True
    return False
