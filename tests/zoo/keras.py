"""Small Keras 3 models of every kind, with batches that fit them. Weights are random and seeded."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

BATCH = 3

KERAS_WARNS = (
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning",  # while it saves
)
"""What Keras itself warns of while the tests use it."""


@keras.saving.register_keras_serializable("zoo")
class Block(layers.Layer):
    """Sub-layers in attributes (both named x), a list, a dictionary and a Sequential, plus a weight of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.d1 = layers.Dense(3, name="x")
        self.d2 = layers.Dense(4, name="x")
        self.stack = [layers.Dense(4), layers.Dropout(0.5), layers.Dense(4)]
        self.table = {"second": layers.ReLU(), "first": layers.Dense(4)}
        self.inner = keras.Sequential([layers.Dense(4), layers.Dropout(0.1)])
        self.noise = keras.random.SeedGenerator(3)

    def build(self, shape):
        self.w = self.add_weight(shape=(4,), initializer="random_normal")
        self.d1.build(shape)
        self.d2.build((None, 3))
        for layer in [*self.stack, self.table["first"], self.inner]:
            layer.build((None, 4))

    def call(self, x):
        x = self.d2(self.d1(x))
        for layer in [*self.stack, *self.table.values()]:
            x = layer(x)
        return self.inner(x) + self.w


@keras.saving.register_keras_serializable("zoo")
class Nameless(layers.Layer):
    """Takes no name, so every load gives it a new one."""

    def __init__(self, units):
        super().__init__()
        self.units = units

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], self.units), initializer="glorot_uniform")

    def call(self, x):
        return ops.matmul(x, self.w)

    def get_config(self):
        return {"units": self.units}


@keras.saving.register_keras_serializable("zoo")
class Subclassed(keras.Model):
    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first = layers.Dense(units)
        self.rest = [Block(), layers.Dense(2)]

    def call(self, x):
        x = self.first(x)
        for layer in self.rest:
            x = layer(x)
        return {"y": x, "also": x * 2}

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("zoo")
class TwoArguments(layers.Layer):
    """Arguments are given by keyword, in another order than the signature's."""

    def call(self, a, b=None, scale=2.0, c=None):
        return (a - b) * scale + c


def functional():
    image, tokens = keras.Input((6, 5), name="image"), keras.Input((7,), dtype="int32", name="tokens")
    within = keras.Sequential([keras.Input((5,)), layers.Dense(4, name="inner")], name="within")
    x = layers.TimeDistributed(within, name="steps")(image)
    x = layers.Bidirectional(layers.LSTM(2, return_sequences=True), name="both")(x)
    attended = layers.MultiHeadAttention(2, 3, name="attention")(x, key=x, value=image[:, :, :4])
    shared = layers.Dense(5, name="shared")
    twice = ops.mean(shared(shared(image)), axis=1)
    entry = keras.Input((5,), name="entry")
    nested = keras.Model(entry, layers.Dense(4, name="deep")(entry), name="nested")
    z = nested(nested(twice)[:, :1] + twice)
    words = layers.Embedding(50, 4, mask_zero=True, name="words")(tokens)
    read = layers.LSTM(3, name="read")(words)
    joined = layers.Concatenate(name="join")([Block(name="block")(z), read, layers.Flatten(name="flat")(attended)])
    normed = layers.BatchNormalization(name="norm")(layers.Dropout(0.2, name="drop")(joined))
    head = layers.Dense(2, name="head")(Nameless(6)(normed))
    return keras.Model({"image": image, "tokens": tokens}, {"score": head, "read": read})


def sequential():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), name="pixels"),
            layers.Conv2D(4, 3, padding="same", name="conv1"),
            layers.BatchNormalization(name="bn1"),
            layers.SeparableConv2D(3, 2, strides=2, name="conv2"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(3, activation="softmax", name="head"),
        ],
        name="digits",
    )


def subclassed():
    model = Subclassed(name="own")
    model(keras.Input((5,)))
    return model


def keywords():
    a, b, c = (keras.Input((4,), name=name) for name in "abc")
    y = TwoArguments(name="combine")(a, c=c, b=b)
    query = keras.Input((5, 4), name="query")
    attended = layers.MultiHeadAttention(2, 2, name="attention")(query, value=query, key=ops.negative(query))
    state = layers.GRU(4, name="recurrent")(query, initial_state=y)
    return keras.Model([a, b, c, query], [y, attended, state])


def mixed(policy="mixed_bfloat16"):
    x = keras.Input((6,), name="x")
    y = layers.Dense(4, dtype=policy, name="half")(x)
    y = layers.LayerNormalization(dtype=policy, name="norm")(y)
    return keras.Model(x, layers.Dense(2, dtype="float32", name="full")(y))


def nested_embedding():
    """The integers reach the smaller of two tables through a nested model, a reshape and a cast."""
    inner_in = keras.Input((4,), dtype="int64", name="codes")
    inner = keras.Model(inner_in, layers.Embedding(30, 3, name="small")(layers.Reshape((2, 2))(inner_in)), name="inner")
    codes = keras.Input((4,), dtype="int32", name="ids")
    near = layers.Flatten()(layers.Embedding(40, 2, name="large")(codes))
    far = layers.Flatten()(inner(ops.cast(codes, "int64")))
    return keras.Model(codes, layers.Concatenate(name="both")([near, far]))


def shared_between_models():
    """One Dense in the outer and in the nested model: Keras saves this, and cannot load it again."""
    dense = layers.Dense(4, name="common")
    entry = keras.Input((4,), name="entry")
    nested = keras.Model(entry, layers.ReLU(name="relu")(dense(entry)), name="nested")
    x = keras.Input((4,), name="x")
    return keras.Model(x, nested(dense(x)))


def text():
    words = keras.Input((), dtype="string", name="words")
    found = layers.StringLookup(vocabulary=["a", "b", "c"], name="lookup")(words)
    return keras.Model(words, layers.Embedding(4, 2, name="table")(found))


MODELS = {
    "functional": functional,
    "sequential": sequential,
    "subclassed": subclassed,
    "keywords": keywords,
    "mixed_bfloat16": mixed,
    "mixed_float16": lambda: mixed("mixed_float16"),
    "nested_embedding": nested_embedding,
}


def saved(name: str, folder: Path) -> Path:
    """Build a model and save it as ``folder/name.keras``."""
    keras.utils.clear_session(free_memory=False)  # default names start from their beginning
    keras.utils.set_random_seed(7)
    path = folder / f"{name}.keras"
    model = MODELS[name]() if name in MODELS else globals()[name]()
    for variable in model.variables:  # no weight stays what its initializer made it
        if "float" in str(variable.dtype):
            variable.assign(variable + ops.cast(keras.random.uniform(variable.shape, 0.1, 0.9), variable.dtype))
    model.save(path)
    return path


def batch_for(inputs) -> dict[str, np.ndarray]:
    """A batch of :data:`BATCH` samples for a model's inputs."""
    rng = np.random.default_rng(5)
    batch = {}
    for spec in inputs:
        shape = (BATCH, *(4 if size is None else size for size in spec.shape[1:]))
        if spec.dtype == "string":
            batch[spec.name] = rng.choice(np.array([b"a", b"c", b"z"], dtype=object), size=shape)
        elif spec.dtype is not None and "int" in spec.dtype:
            batch[spec.name] = rng.integers(0, spec.limit or 9, shape).astype(spec.dtype)
        else:
            batch[spec.name] = rng.normal(size=shape).astype(spec.dtype or "float32")
    return batch


def run_bare(model, batch):
    """The bare model's outputs, flattened as Keras does: ``model(x)``."""
    if model._obj_type() == "Functional" and isinstance(model.input, dict):
        values = dict(batch)
    elif len(batch) > 1:
        values = list(batch.values())
    else:
        values = next(iter(batch.values()))
    return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(model(values))]
