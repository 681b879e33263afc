"""Keras models that behave differently in training mode. Tiny, seeded, for every backend."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

WIDTH = 12


def chain(*middle, shape=(WIDTH,)):
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input(shape, name="x"), layers.Dense(16, name="first"), *middle])


@keras.saving.register_keras_serializable("zoo")
class OwnNorm(layers.BatchNormalization):
    """A subclass whose call is its own."""

    def call(self, inputs, training=None, mask=None):
        if training:
            return (inputs - ops.mean(inputs, axis=0)) / (ops.std(inputs, axis=0) + 0.1)
        return inputs * 2


class OwnNoise(layers.Layer):
    """Random in a way that no framework can seed."""

    def call(self, x, training=None):
        return x + np.random.default_rng().standard_normal(16).astype("float32") if training else x


class Shuffled(layers.Layer):
    """Mixes in training mode only, and is not there to do so."""

    def call(self, x, training=None):
        return x + 0.1 * ops.roll(x, 1, axis=0) if training else x


class Counter(layers.Layer):
    """Keeps the mean of the last batch, and uses it."""

    def build(self, shape):
        self.last = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x, training=None):
        if training:
            before = ops.copy(self.last.value)
            self.last.assign(ops.mean(x))
            return x + before
        return x


class PlainNoise(layers.Layer):
    """Draws without a generator of its own."""

    def call(self, x, training=None):
        return x + keras.random.normal(ops.shape(x)) if training else x


class FrameworkNoise(layers.Layer):
    """Draws with the backend's own operation, past Keras."""

    def call(self, x, training=None):
        if not training:
            return x
        if keras.backend.backend() == "torch":
            import torch

            return x + torch.randn(x.shape)
        import tensorflow as tf

        return x + tf.random.normal(tf.shape(x))


def norm(**options):
    return layers.BatchNormalization(**options)


MODELS = {
    "norm and dropout": lambda: chain(
        norm(name="bn1"), layers.ReLU(), layers.Dropout(0.5), layers.Dense(16), norm(name="bn2"), layers.Dropout(0.3),
        layers.Dense(5),
    ),
    "leak before": lambda: chain(layers.Softmax(axis=0, name="leak"), norm(name="bn1"), layers.Dense(5)),
    "leak after": lambda: chain(
        norm(name="bn1"), layers.Dropout(0.2), layers.Softmax(axis=0, name="leak"), layers.Dense(5)
    ),
    "leak in training only": lambda: chain(Shuffled(name="leak"), layers.Dense(5)),
    "other norms": lambda: chain(
        layers.LayerNormalization(), layers.Dropout(0.3), layers.GroupNormalization(4), layers.Dense(5)
    ),
    "noise": lambda: chain(layers.GaussianNoise(0.3), PlainNoise(), FrameworkNoise(), layers.Dense(5)),
    "frozen norm": lambda: chain(norm(name="bn1", trainable=False), layers.Dropout(0.4), layers.Dense(5)),
    "own norm": lambda: chain(OwnNorm(name="bn1"), layers.Dense(5)),
    "norm inside": lambda: chain(
        layers.TimeDistributed(norm(), name="each"), layers.SpectralNormalization(layers.Dense(4)), shape=(5, 6)
    ),
    "label": lambda: chain(norm(name="bn1"), Label()),
    "own noise": lambda: chain(OwnNoise(name="noise"), layers.Dense(5)),
    "counter": lambda: chain(Counter(name="count"), layers.Dense(5)),
}  # fmt: skip


class Label(layers.Layer):
    """A discrete output."""

    def call(self, x):
        return ops.cast(x > 0, "int32")
