"""Subclassed Keras models: called on data to build them, with inputs of every structure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

register = keras.saving.register_keras_serializable("subclassed")


def rows(count: int, *shape: int) -> np.ndarray:
    """Normal numbers of shape ``(count, *shape)``; float32."""
    return np.random.default_rng(sum(shape)).normal(size=(count, *shape)).astype("float32")


class _Two(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.a = layers.Dense(4)
        self.b = layers.Dense(4)

    def get_config(self):
        return {}


@register
class Plain(_Two):
    def call(self, x):
        return self.b(self.a(x))


@register
class TwoRows(_Two):
    """Has the batch size of two in its code."""

    def call(self, x):
        return self.b(ops.reshape(self.a(x), (2, 4)))


@register
class Dictionary(_Two):
    """A key ends in ``_shape``, as the names of arguments do in a build config."""

    def call(self, inputs):
        return self.a(inputs["x_shape"]) + self.b(inputs["z"])


@register
class Nested(_Two):
    def call(self, inputs):
        h = self.a(inputs["x"]) + self.b(inputs["side"][0])
        return {"h": h, "twice": [inputs["side"][1] * 2]}


@register
class Pair(_Two):
    def call(self, inputs):
        x, z = inputs
        return self.a(x) - self.b(z)


@register
class Arguments(_Two):
    """Keras saves the shape of ``x`` only, and cannot build it from that."""

    def call(self, x, z):
        return self.a(x) + self.b(z)


@register
class BuiltArguments(_Two):
    """Its ``build`` takes the shapes of both arguments, so Keras saves both."""

    def build(self, z_shape, x_shape):
        self.a.build(x_shape["p"])
        self.b.build(z_shape[0])

    def call(self, z, x):
        return self.a(x["p"]) + self.b(z[0])


@register
class LooksAtValues(_Two):
    """Keras cannot trace it, and so saves no shape: ``call`` asks what the values are."""

    def call(self, x):
        return self.a(x) if float(ops.max(x)) > 1e9 else self.b(self.a(x))


@register
class BuiltLater(LooksAtValues):
    """Its ``build`` builds nothing, so that Keras loads it without its weights."""

    def build(self, input_shape):
        pass


@register
class Inner(_Two):
    """Holds a functional model that declares a batch of its own."""

    def __init__(self, **options):
        super().__init__(**options)
        entry = keras.Input((3,), batch_size=2)
        self.graph = keras.Model(entry, layers.Dense(4)(entry))

    def call(self, x):
        return self.b(self.a(self.graph(x)))


@register
class Words(keras.Model):
    """Text and numbers in one dictionary."""

    def __init__(self, **options):
        super().__init__(**options)
        self.lookup = layers.StringLookup(vocabulary=["red", "green", "blue"])
        self.embed = layers.Embedding(4, 3)

    def call(self, inputs):
        return self.embed(self.lookup(inputs["word"])) + inputs["number"]

    def get_config(self):
        return {}


def write(model: Any, folder: Path, *args: Any, form: str = "keras", **arguments: Any) -> Path:
    """Build a model by calling it on data, and save it."""
    model(*args, **arguments)
    path = folder / f"m.{form}"
    model.save(path)
    return path
