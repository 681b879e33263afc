"""Small models written by Keras 2, through tf_keras."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
import tf_keras
from tf_keras import layers


def cnn():
    return tf_keras.Sequential(
        [
            layers.Conv2D(4, 3, input_shape=(8, 8, 1), name="conv"),
            layers.BatchNormalization(name="bn"),
            layers.DepthwiseConv2D(2, name="depth"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(3, activation="softmax", name="head"),
        ]
    )


def sequence():
    tokens = tf_keras.Input((6,), dtype="int32", name="tokens")
    x = layers.Embedding(20, 4, mask_zero=True, name="words")(tokens)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="both")(x)
    return tf_keras.Model(tokens, layers.Dense(2, name="head")(layers.GRU(3, name="read")(x)))


def shared():
    a, b = tf_keras.Input((5,), name="a"), tf_keras.Input((5,), name="b")
    dense = layers.Dense(4, name="shared")
    entry = tf_keras.Input((4,), name="entry")
    hidden = layers.Dense(3, name="lower")(entry)
    nested = tf_keras.Model(entry, layers.Dense(3, name="upper")(hidden), name="nested")
    stack = tf_keras.Sequential([tf_keras.Input((3,)), layers.Dense(3, name="only")], name="stack")
    joined = layers.Concatenate(name="join")([nested(dense(a)), stack(nested(dense(b)))])
    return tf_keras.Model([a, b], [layers.Dense(2, name="one")(joined), layers.Dense(1, name="two")(joined)])


def branches():
    """Two branches of one shape whose layers the two versions of Keras order differently."""
    x = tf_keras.Input((4,), name="x")
    left = layers.Dense(4, name="left2")(layers.Dense(4, name="left1")(x))
    right = layers.Dense(4, name="right1")(x)
    return tf_keras.Model(x, layers.Subtract(name="minus")([right, left]))


def attention():
    x = tf_keras.Input((5, 4), name="x")
    y = layers.MultiHeadAttention(2, 3, name="attention")(x, x)
    y = layers.TimeDistributed(layers.Dense(2, name="each"), name="steps")(layers.LayerNormalization(name="norm")(y))
    return tf_keras.Model(x, layers.GlobalAveragePooling1D(name="pool")(y))


def operations():
    x = tf_keras.Input((5,), name="x")
    y = layers.Dense(4, name="dense")(x)
    return tf_keras.Model(x, tf.math.reduce_mean(y, axis=-1, keepdims=True) + y[:, :2])


def hard_sigmoid():
    x = tf_keras.Input((5,), name="x")
    return tf_keras.Model(x, layers.Dense(4, activation="hard_sigmoid", name="dense")(x))


MODELS = {
    "cnn": cnn,
    "sequence": sequence,
    "shared": shared,
    "branches": branches,
    "attention": attention,
    "operations": operations,
    "hard_sigmoid": hard_sigmoid,
}
BY_KERAS3 = {"cnn", "sequence", "shared", "branches"}
"""What Keras 3 loads; the others need tf_keras."""


def saved(name: str, folder: Path, suffix: str = ".h5") -> Path:
    """Build a model and save it as ``folder/name.h5`` (or ``.keras``)."""
    tf_keras.backend.clear_session()
    tf_keras.utils.set_random_seed(3)
    model = MODELS[name]()
    for weight in model.weights:
        weight.assign_add(tf.random.uniform(weight.shape, 0.1, 0.9))
    path = folder / f"{name}{suffix}"
    model.save(path)
    return path


def run_bare(path: Path, batch):
    """What tf_keras itself computes, flattened."""
    model = tf_keras.models.load_model(path, compile=False)
    values = list(batch.values())
    outputs = model(values if len(values) > 1 else values[0], training=False)
    return [y.numpy() for y in tf.nest.flatten(outputs)], model
