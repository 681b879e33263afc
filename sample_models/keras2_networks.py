"""The digits classifier once more, in the Keras 2 that wrote most of the .h5 files people have."""

from __future__ import annotations

import tf_keras
from tf_keras import layers


def digits() -> tf_keras.Model:
    """The same layers, names and shapes as :func:`keras_networks.digits`."""
    image = tf_keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="conv1")(image)
    x = layers.BatchNormalization(name="bn1")(x)
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.3, name="dropout")(x)
    probabilities = layers.Dense(10, activation="softmax", name="head")(x)
    return tf_keras.Model(image, probabilities, name="digits")
