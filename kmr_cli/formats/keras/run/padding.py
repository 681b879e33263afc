"""Other values where Keras' own layers mask steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


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
