"""A learned weight for every feature."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kmr_cli.layers.arguments import positive_integer, rank_at_least


@keras.saving.register_keras_serializable(package="kmr.layers")
class WeightedSum(keras.layers.Layer):
    """Multiplies every feature by a learned weight of its own.

    ``output[..., u] = input[..., u] · w[u]``: the terms of a weighted sum, left apart. The weight has no axis for the
    samples; broadcasting gives each of them the same one. Add up the last axis for the sum itself.

    A Keras mask passes through. Integers are converted to the layer's compute dtype.

    Input shape:
        ``(..., U)``.

    Output shape:
        The same.

    Args:
        units: U.
        initializer: of the weight, ``(U,)``.
        **kwargs: ``name``, ``dtype`` and ``trainable``, as for every Keras layer.

    Raises:
        ValueError: ``units`` isn't an integer of at least 1, or is not the size of the last axis.

    Example:
        >>> import keras
        >>> layer = WeightedSum(3)
        >>> layer.build((None, 3))
        >>> _ = layer.weight.assign([1.0, 0.5, -2.0])
        >>> keras.ops.convert_to_numpy(layer(keras.ops.convert_to_tensor([[1.0, 2.0, 3.0], [0.0, 8.0, 0.5]]))).tolist()
        [[1.0, 1.0, -6.0], [0.0, 4.0, -1.0]]
    """

    def __init__(self, units: int, initializer: Any = "random_normal", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = positive_integer("units", units)
        self.initializer = keras.initializers.get(initializer)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weight, ``(U,)``."""
        self._check(input_shape)
        self.input_spec = keras.layers.InputSpec(min_ndim=1, axes={-1: self.units})
        self.weight = self.add_weight(name="weight", shape=(self.units,), initializer=self.initializer)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The weighted features."""
        return ops.cast(inputs, self.compute_dtype) * self.weight

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The same shape."""
        self._check(input_shape)
        return (*input_shape[:-1], self.units)

    def _check(self, shape: tuple[int | None, ...]) -> None:
        rank_at_least(self.name, 1, "(..., U)", shape)
        if shape[-1] not in (None, self.units):
            raise ValueError(f"{self.name}: units is {self.units}, but the last axis of the inputs has {shape[-1]}")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same layer again."""
        config = {"units": self.units, "initializer": keras.initializers.serialize(self.initializer)}
        return {**super().get_config(), **config}
