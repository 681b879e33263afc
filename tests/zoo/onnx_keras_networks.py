"""Keras networks that are exported to ONNX; see :mod:`zoo.onnx_exports`."""

from __future__ import annotations

import keras
from keras import layers


def convolutions() -> keras.Model:
    """(B, 6, 6, 2) -> (B, 3)."""
    image = keras.Input((6, 6, 2), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="conv")(image)
    x = layers.BatchNormalization(name="bn", beta_initializer="random_normal")(x)
    x = layers.ReLU(name="act")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.3, name="drop")(x)
    return keras.Model(image, layers.Dense(3, activation="softmax", name="head", bias_initializer="uniform")(x))


def sequence() -> keras.Model:
    """Ids (B, 7) -> (B, 2), through an embedding and two recurrent layers."""
    ids = keras.Input((7,), name="ids", dtype="int32")
    x = layers.Embedding(11, 4, name="embed")(ids)
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True), name="both")(x)
    x = layers.LSTM(4, name="lstm")(x)
    return keras.Model(ids, layers.Dense(2, name="head")(x))


def shared() -> keras.Model:
    """A nested model and a layer, each called twice; two layers of one class."""
    x = keras.Input((5,), name="x")
    inner = keras.Sequential([keras.Input((5,)), layers.Dense(5, activation="relu"), layers.Dense(5)], name="tower")
    again = layers.Dense(5, name="again", activation="tanh")
    y = layers.Add(name="join")([inner(x), inner(again(again(x)))])
    return keras.Model(x, layers.Dense(2, name="head")(layers.LayerNormalization(name="norm")(y)))


def two_inputs() -> keras.Model:
    """An image of steps and a vector: attention, then both together; two outputs."""
    steps = keras.Input((4, 6), name="steps")
    person = keras.Input((3,), name="person")
    x = layers.MultiHeadAttention(2, 3, name="attention")(steps, steps)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    x = layers.Concatenate(name="join")([x, layers.Dense(2, name="embed")(person)])
    return keras.Model([steps, person], [layers.Dense(2, name="first")(x), layers.Dense(1, name="second")(x)])


NETWORKS = {one.__name__: one for one in (convolutions, sequence, shared, two_inputs)}
