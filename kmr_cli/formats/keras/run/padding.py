"""Other values where Keras' own layers mask steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kmr_cli.formats.common.other_padding import drawn

_MASKING = frozenset({"Embedding", "Masking"})


class OtherPadding:
    """Puts other values where Keras' own layers mask steps.

    Args:
        where: number of steps -> booleans ``(samples, steps)``: only there, and only where the layer masks, too.
        seed: of the values.
    """

    def __init__(self, where: Mapping[int, np.ndarray], seed: int) -> None:
        self._where = where
        self._rng = np.random.default_rng(seed)

    def apply(self, layer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], outputs: Any) -> Any:
        """The outputs of a layer that was called with these arguments, other values where it masks."""
        package = next((one.__module__.split(".")[0] for one in type(layer).__mro__ if one.__name__ in _MASKING), None)
        if package not in ("keras", "tf_keras"):
            return outputs
        mask = layer.compute_mask(args[0] if args else next(iter(kwargs.values())))
        if mask is None or len(mask.shape) != 2 or len(outputs.shape) != 3:
            return outputs
        where = self._where.get(int(mask.shape[1]))
        if where is None or where.shape != tuple(mask.shape):
            return outputs
        return self._other(where, mask, outputs) if package == "keras" else self._other_of_keras2(where, mask, outputs)

    def _other(self, where: np.ndarray, mask: Any, outputs: Any) -> Any:
        import keras

        chosen = where & ~keras.ops.convert_to_numpy(mask).astype(bool)
        other = self._values(keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32")))
        return keras.ops.where(chosen[:, :, None], keras.ops.cast(other, outputs.dtype), outputs)

    def _other_of_keras2(self, where: np.ndarray, mask: Any, outputs: Any) -> Any:
        import tensorflow as tf

        chosen = where & ~np.asarray(mask).astype(bool)
        other = self._values(np.asarray(tf.cast(outputs, "float32")))
        found = tf.where(chosen[:, :, None], tf.cast(other, outputs.dtype), outputs)
        if getattr(outputs, "_keras_mask", None) is not None:  # Masking hands it on itself
            found._keras_mask = outputs._keras_mask
        return found

    def _values(self, value: np.ndarray) -> np.ndarray:
        return drawn(self._rng, value, value.shape).astype(np.float32)
