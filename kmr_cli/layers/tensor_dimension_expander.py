"""One more axis of size 1."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kmr_cli.layers.arguments import integer


@keras.saving.register_keras_serializable(package="kmr.layers")
class TensorDimensionExpander(keras.layers.Layer):
    """Inserts an axis of size 1.

    ``output[..., 0, ...] = input[..., ...]``, with the 0 at ``axis`` of the output. With ``axis=0`` the samples move to
    axis 1, which most layers, and ``predict``, take for something else.

    A mask gets the new axis too where it falls among the mask's own axes.

    Input shape:
        Any.

    Output shape:
        The same with a 1 at ``axis``: ``(B, T)`` becomes ``(B, 1, T)``.

    Args:
        axis: where the new axis stands in the output; negative counts from the end of the output's axes.
        **kwargs: ``name``, ``dtype`` and ``trainable``, as for every Keras layer.

    Raises:
        ValueError: ``axis`` isn't an integer, or the output has no such axis.

    Example:
        >>> import keras
        >>> for axis in (1, -1, 0):
        ...     print(tuple(TensorDimensionExpander(axis)(keras.ops.ones((7, 5))).shape))
        (7, 1, 5)
        (7, 5, 1)
        (1, 7, 5)
    """

    def __init__(self, axis: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = integer("axis", axis)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """The inputs with one axis more."""
        return ops.expand_dims(inputs, self._place(len(inputs.shape)))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape with a 1 at ``axis``."""
        place = self._place(len(input_shape))
        return (*input_shape[:place], 1, *input_shape[place:])

    def compute_output_spec(self, inputs: Any) -> Any:
        """The shape with a 1 at ``axis``, and the inputs' dtype."""
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=inputs.dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask for the output's axes."""
        if previous_mask is None:
            return None
        place = self._place(len(inputs.shape))
        return ops.expand_dims(previous_mask, place) if place < len(previous_mask.shape) else previous_mask

    def _place(self, rank: int) -> int:
        if not -rank - 1 <= self.axis <= rank:
            raise ValueError(f"{self.name}: axis {self.axis} does not fit inputs with {rank} axes")
        return self.axis + rank + 1 if self.axis < 0 else self.axis

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same layer again."""
        return {**super().get_config(), "axis": self.axis}
