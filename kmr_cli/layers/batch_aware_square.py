"""The square, one sample at a time."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kmr_cli.layers.arguments import rank_at_least


@keras.saving.register_keras_serializable(package="kmr.layers")
class BatchAwareSquare(keras.layers.Layer):
    """Squares every value, sample by sample through ``keras.ops.map``.

    ``output = input²``. The result is that of a plain square; the point is how it is made. The function that runs
    sees one sample and never the batch, so it cannot mix samples, at the price of one small step per sample.

    A Keras mask passes through.

    Input shape:
        ``(B, ...)``, numbers, B at least 1.

    Output shape:
        The same.

    Args:
        **kwargs: ``name``, ``dtype`` and ``trainable``, as for every Keras layer.

    Raises:
        ValueError: the inputs have no axis.

    Example:
        >>> import keras
        >>> squares = BatchAwareSquare()(keras.ops.convert_to_tensor([[1.0, -2.0], [3.0, 0.5]]))
        >>> keras.ops.convert_to_numpy(squares).tolist()
        [[1.0, 4.0], [9.0, 0.25]]
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The squares."""
        self.compute_output_shape(inputs.shape)
        return ops.map(ops.square, inputs)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The same shape."""
        rank_at_least(self.name, 1, "(B, ...)", input_shape)
        return tuple(input_shape)

    def compute_output_spec(self, inputs: Any) -> Any:
        """The same shape and dtype."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=inputs.dtype)
