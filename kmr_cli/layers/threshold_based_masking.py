"""Zero below a threshold."""

from __future__ import annotations

import math
from typing import Any

import keras
import ml_dtypes
from keras import ops

from kmr_cli.layers.arguments import finite_number


@keras.saving.register_keras_serializable(package="kmr.layers")
class ThresholdBasedMasking(keras.layers.Layer):
    """Keeps values at or above a threshold and puts zero in place of the others.

    ``output = input if input >= threshold else 0``, value by value. This is a choice, not a product with a mask of
    ones and zeros: a NaN, which is not at or above anything, becomes 0, and so does ``-inf``. Integers are compared
    as integers and stay integers.

    The Keras mask of the inputs, if any, passes through.

    Input shape:
        Any.

    Output shape:
        The same.

    Args:
        threshold: the smallest value that is kept.
        **kwargs: ``name``, ``dtype`` and ``trainable``, as for every Keras layer.

    Raises:
        ValueError: ``threshold`` isn't a number, or not finite.

    Example:
        >>> import keras
        >>> layer = ThresholdBasedMasking(0.5)
        >>> values = keras.ops.convert_to_tensor([[0.25, 0.5, float("nan")], [2.0, -3.0, float("-inf")]])
        >>> keras.ops.convert_to_numpy(layer(values)).tolist()
        [[0.0, 0.5, 0.0], [2.0, 0.0, 0.0]]
    """

    def __init__(self, threshold: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threshold = finite_number("threshold", threshold)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The inputs, with zeros."""
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        if "float" in dtype:
            # A threshold below all finite values of a narrow dtype must not turn into one that -inf passes.
            threshold = max(self.threshold, float(ml_dtypes.finfo(dtype).min))
            return ops.where(inputs >= ops.cast(threshold, dtype), inputs, ops.zeros_like(inputs))
        lowest = math.ceil(self.threshold)
        smallest, largest = _range(dtype)
        if lowest <= smallest:
            return ops.copy(inputs)
        if lowest > largest:
            return ops.zeros_like(inputs)
        return ops.where(inputs >= ops.cast(lowest, dtype), inputs, ops.zeros_like(inputs))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The same shape."""
        return tuple(input_shape)

    def compute_output_spec(self, inputs: Any) -> Any:
        """The same shape and dtype."""
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same layer again."""
        return {**super().get_config(), "threshold": self.threshold}


def _range(dtype: str) -> tuple[int, int]:
    """The smallest value other than 0, and the largest, of a dtype such as ``bool``, ``uint8`` or ``int32``."""
    if dtype == "bool":
        return 1, 1
    bits = int(dtype.removeprefix("u").removeprefix("int"))
    return (1, 2**bits - 1) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
