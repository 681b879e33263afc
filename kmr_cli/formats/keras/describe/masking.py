"""Which inputs Keras' own layers mask, and other values where they do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

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


class OtherPadding:
    """Puts other values where layers of Keras 3 mask steps.

    Args:
        where: number of steps -> booleans ``(samples, steps)``: only there, and only where the layer masks, too.
        seed: of the values.
    """

    def __init__(self, where: Mapping[int, np.ndarray], seed: int) -> None:
        self._where = where
        self._rng = np.random.default_rng(seed)

    def apply(self, layer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], outputs: Any) -> Any:
        """The outputs of a layer that was called with these arguments, other values where it masks."""
        import keras

        if not isinstance(layer, (keras.layers.Embedding, keras.layers.Masking)):
            return outputs
        mask = layer.compute_mask(args[0] if args else next(iter(kwargs.values())))
        if mask is None or len(mask.shape) != 2 or len(outputs.shape) != 3:
            return outputs
        where = self._where.get(int(mask.shape[1]))
        if where is None or where.shape != tuple(mask.shape):
            return outputs
        chosen = where & ~keras.ops.convert_to_numpy(mask).astype(bool)
        value = keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32"))
        scale = float(np.abs(value[np.isfinite(value)]).max(initial=0)) or 1.0
        other = self._rng.uniform(-scale, scale, value.shape).astype(np.float32)
        return keras.ops.where(chosen[:, :, None], keras.ops.cast(other, outputs.dtype), outputs)
