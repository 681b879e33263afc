"""Pairs of models that a team may take for the same: converted, exported, upgraded, edited. Tiny and seeded.

The frameworks are imported inside the builders, so that collecting the tests stays quick.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

SIZE = 6
IMAGE, STEPS = (6, 6, 2), (5, 4)


def images(shape: tuple[int, ...] = IMAGE) -> np.ndarray:
    """A batch of ``SIZE`` samples."""
    return np.random.default_rng(1).normal(size=(SIZE, *shape)).astype(np.float32)


def tokens() -> np.ndarray:
    """(SIZE, 5) int32: token 7 stands in sample 4 only."""
    found = np.random.default_rng(2).integers(0, 7, (SIZE, 5)).astype(np.int32)
    found[4, 2] = 7
    return found


# -- Keras -------------------------------------------------------------------------------------------------------


def seeded(model, seed: int = 3):
    """Weights that depend on the place of a layer among those that have any, not on its name."""
    for number, layer in enumerate(layer for layer in model.layers if layer.weights):
        random = np.random.default_rng([seed, number])
        norm = "Normalization" in type(layer).__name__
        layer.set_weights(
            [
                random.uniform(0.5, 1.5, weight.shape) if norm else random.normal(0, 0.5, weight.shape)
                for weight in layer.get_weights()
            ]
        )
    return model


def cnn(*, padding: str = "same", pool: str = "pool", seed: int = 3, dtype: str | None = None, image: str = "image"):
    """conv1, bn1, relu1, conv2, pool, head: ``image`` (B, 6, 6, 2) -> (B, 3)."""
    import keras
    from keras import layers

    x = start = keras.Input(IMAGE, name=image, dtype=dtype)
    x = layers.Conv2D(4, 3, padding=padding, name="conv1", dtype=dtype)(x)
    x = layers.BatchNormalization(name="bn1", dtype=dtype)(x)
    x = layers.ReLU(name="relu1", dtype=dtype)(x)
    x = layers.Conv2D(5, 3, padding="same", activation="relu", name="conv2", dtype=dtype)(x)
    x = layers.GlobalAveragePooling2D(name=pool, dtype=dtype)(x)
    x = layers.Dense(3, name="head", dtype=dtype)(x)
    return seeded(keras.Model(start, x, name="cnn"), seed)


def edited(model, layer: str, change: Callable[[list[np.ndarray]], list[np.ndarray]]):
    """The same model after ``change`` of one layer's weights."""
    found = model.get_layer(layer)
    found.set_weights(change(found.get_weights()))
    return model


def folded():
    """:func:`cnn` with bn1 folded into conv1."""
    import keras

    whole = cnn()
    kernel, bias = whole.get_layer("conv1").get_weights()
    gamma, beta, mean, variance = whole.get_layer("bn1").get_weights()
    factor = gamma / np.sqrt(variance + whole.get_layer("bn1").epsilon)
    x = start = keras.Input(IMAGE, name="image")
    for layer in whole.layers[1:]:
        if layer.name != "bn1":
            x = type(layer).from_config(layer.get_config())(x)
    model = keras.Model(start, x, name="cnn")
    for layer in model.layers:
        layer.set_weights(whole.get_layer(layer.name).get_weights())
    model.get_layer("conv1").set_weights([kernel * factor, (bias - mean) * factor + beta])
    return model


def rescaled():
    """:func:`cnn` with twice the head's input and half its kernel: the same outputs."""
    model = edited(cnn(), "conv2", lambda weights: [weight * 2 for weight in weights])
    return edited(model, "head", lambda weights: [weights[0] / 2, weights[1]])


def fixed_batch(size: int | None):
    """``x`` (size, 4) -> (size, 3): a model that takes that many samples at a time, or with None any number."""
    import keras
    from keras import layers

    start = keras.Input((4,), batch_size=size, name="x")
    return seeded(keras.Model(start, layers.Dense(3, name="head")(start), name="fixed"))


def mlp(transposed: bool = False):
    """Dense hidden (4 -> 4), out: ``x`` (B, 4) -> (B, 2), with the first kernel transposed on request."""
    import keras
    from keras import layers

    x = start = keras.Input((4,), name="x")
    x = layers.Dense(4, activation="tanh", name="hidden")(x)
    x = layers.Dense(2, name="out")(x)
    model = seeded(keras.Model(start, x, name="mlp"))
    return edited(model, "hidden", lambda weights: [weights[0].T, weights[1]]) if transposed else model


def two_outputs():
    """:func:`mlp` with one more output."""
    import keras
    from keras import layers

    base = mlp()
    more = layers.Dense(3, name="more")(base.get_layer("hidden").output)
    model = keras.Model(base.input, [base.output, more], name="mlp")
    model.get_layer("more").set_weights([np.ones((4, 3)), np.zeros(3)])
    return model


def renamed_input():
    """:func:`mlp`, called ``features`` at its entrance."""
    import keras

    base = mlp()
    start = keras.Input((4,), name="features")
    x = start
    for layer in base.layers[1:]:
        x = layer(x)
    return keras.Model(start, x, name="mlp")


def _named(model, name: str):
    """Its only operation under a name that no counter makes."""
    import keras

    (operation,) = (one for one in model.operations if not isinstance(one, keras.layers.Layer))
    operation.name = name
    return keras.Model(model.inputs, model.outputs, name=model.name)


def classes(seed: int = 3):
    """Only the class: (B, 4) -> (B,) integers."""
    import keras
    from keras import layers, ops

    x = start = keras.Input((4,), name="x")
    x = layers.Dense(3, name="scores")(x)
    return seeded(_named(keras.Model(start, ops.argmax(x, axis=-1), name="classes"), "class"), seed)


def logarithm(shift: float = 0.0):
    """The log of a dense layer: NaN wherever that is negative."""
    import keras
    from keras import layers, ops

    x = start = keras.Input((4,), name="x")
    x = layers.Dense(6, name="dense")(x)
    model = seeded(_named(keras.Model(start, ops.log(x), name="logarithm"), "log"))
    return edited(model, "dense", lambda weights: [weights[0], weights[1] + shift])


def shared(second: float = 1.0):
    """One layer, ``project``, for both inputs; ``scale`` before the second call only."""
    import keras
    from keras import layers

    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    project = layers.Dense(3, name="project")
    scaled = layers.Rescaling(second, name="scale")(right)
    both = layers.Concatenate(name="both")([project(left), project(scaled)])
    return seeded(keras.Model([left, right], layers.Dense(2, name="out")(both), name="shared"))


def branches():
    """Two branches, ``a1 a2`` and ``b1 b2``, added up: ``x`` (B, 4) -> (B, 2)."""
    import keras
    from keras import layers

    start = keras.Input((4,), name="x")
    first = layers.Dense(3, name="a2")(layers.Dense(3, activation="tanh", name="a1")(start))
    second = layers.Dense(3, name="b2")(layers.Dense(3, activation="tanh", name="b1")(start))
    return seeded(keras.Model(start, layers.Dense(2, name="out")(layers.Add(name="sum")([first, second])), name="two"))


def embedding(row: float = 0.0):
    """Tokens (B, 5) -> embed -> mean -> (B, 2); the row of token 7 is off by ``row``."""
    import keras
    from keras import layers

    x = start = keras.Input((5,), dtype="int32", name="tokens")
    x = layers.Embedding(8, 4, name="embed")(x)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    model = seeded(keras.Model(start, layers.Dense(2, name="out")(x), name="embedding"))
    shift = np.zeros((8, 4))
    shift[7] = row
    return edited(model, "embed", lambda weights: [weights[0] + shift])


def save_keras(model, path: Path) -> Path:
    """Write a ``.keras`` or ``.h5`` file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(path)
    return path


def flat_cnn(*, separate: bool = True):
    """conv, relu (of its own or in conv), bn, pool, flatten, head: ``image`` (B, 6, 6, 2) -> (B, 3)."""
    import keras
    from keras import layers

    x = start = keras.Input(IMAGE, name="image")
    x = layers.Conv2D(4, 3, padding="same", name="conv", activation=None if separate else "relu")(x)
    if separate:
        x = layers.ReLU(name="relu")(x)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    return seeded(keras.Model(start, layers.Dense(3, name="head")(x), name="flat"))
