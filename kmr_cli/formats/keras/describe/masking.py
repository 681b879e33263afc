"""Which inputs Keras' own layers mask."""

from __future__ import annotations

from kmr_cli.formats.keras.describe.config import LayerConfig, leaves

SAME_VALUES = frozenset(["ActivityRegularization", "Cast", "Copy", "Dropout", "Identity", "SpatialDropout1D"])
"""Layers and operations that return what they get, in inference."""
_MAX_DEPTH = 20


def paddings(model: LayerConfig, depth: int = 0) -> dict[str, float]:
    """Input name -> what its padded steps hold, for the inputs of a functional or Sequential model that are masked.

    Those are ``(batch, steps)`` into an ``Embedding`` with ``mask_zero`` and ``(batch, steps, features)`` into a
    ``Masking``, directly or through layers that return what they get.
    """
    layers = model.layers or []
    if model.functional:
        names = [ref.layer for ref in leaves(model.inputs)]
        found = {name: _from_tensor(layers, (name, 0, 0), depth) for name in names}
    else:
        chain = [layer for layer in layers if layer.class_name != "InputLayer"]
        first = layers[0].name if layers and layers[0].class_name == "InputLayer" else "inputs"
        found = {first: _from_chain(chain, depth)}
        if layers and layers[0].layers is not None:
            found = dict.fromkeys((layer.name for layer in layers[0].layers[:1]), found[first])
    return {name: value for name, value in found.items() if value is not None}


def _from_tensor(layers: list[LayerConfig], tensor: tuple[str, int, int], depth: int) -> float | None:
    pending, seen = [tensor], {tensor}
    while pending:
        current = pending.pop()
        for layer in layers:
            for number, call in enumerate(layer.calls):
                for position, argument in enumerate(call):
                    ref = argument.ref
                    if (ref.layer, ref.node, ref.tensor) != current:
                        continue
                    value = _of_layer(layer, position, depth)
                    if value is not None:
                        return value
                    following = (layer.name, number, 0)
                    if layer.built_in and layer.class_name in SAME_VALUES and following not in seen:
                        seen.add(following)
                        pending.append(following)
    return None


def _from_chain(layers: list[LayerConfig], depth: int) -> float | None:
    for layer in layers:
        value = _of_layer(layer, 0, depth)
        if value is not None or not (layer.built_in and layer.class_name in SAME_VALUES):
            return value
    return None


def _of_layer(layer: LayerConfig, position: int, depth: int) -> float | None:
    """What padded steps hold in the tensor number ``position`` that a layer is called with."""
    if layer.layers is not None and depth < _MAX_DEPTH:
        inner = paddings(layer, depth + 1)
        if not layer.functional:
            return next(iter(inner.values()), None)
        names = [ref.layer for ref in leaves(layer.inputs)]
        return inner.get(names[position]) if position < len(names) else None
    if not layer.built_in:
        return None
    if layer.class_name == "Embedding":
        return 0.0 if layer.config.get("mask_zero") is True else None
    if layer.class_name == "Masking":
        value = layer.config.get("mask_value", 0.0)
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    return None
