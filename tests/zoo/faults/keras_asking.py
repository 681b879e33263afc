"""A Keras layer in a module of its own, among whose names none is that of an operation of Keras."""

from __future__ import annotations

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("zoo")
class EqualsSum(layers.Layer):
    """Where ids equal the sum of the layer's weights: a number that stands nowhere in the file."""

    def __init__(self, count: int = 3, **options) -> None:
        super().__init__(**options)
        self.count = count

    def build(self, _):
        self.parts = self.add_weight(shape=(self.count,), dtype="int64", initializer="zeros", trainable=False)

    def call(self, x):
        return ops.equal(x, ops.sum(self.parts))

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, dtype="bool")

    def get_config(self):
        return {**super().get_config(), "count": self.count}
