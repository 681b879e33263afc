"""Inputs and outputs of every kind: text, integers, booleans, ragged, nested, constant, pairwise, discrete."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import torch
from torch import Tensor, nn
from zoo.torchscript import save, script

WORDS = ["red", "green", "blue", "white", "black"]
SIZE = 6


def words(*shape: int) -> np.ndarray:
    """Text of ``(SIZE, *shape)``, no two samples alike."""
    numbers = np.random.default_rng(0).integers(0, len(WORDS), (SIZE, *shape))
    numbers.reshape(SIZE, -1)[:, 0] = np.arange(SIZE) % len(WORDS)
    return np.array(WORDS, dtype=object)[numbers]


def string_lookup() -> keras.Model:
    text = keras.Input((4,), dtype="string", name="text")
    x = keras.layers.StringLookup(vocabulary=WORDS, name="lookup")(text)
    x = keras.layers.Embedding(len(WORDS) + 1, 3, name="embed")(x)
    return keras.Model(text, keras.layers.Flatten(name="flatten")(x))


def text_vectorization() -> keras.Model:
    text = keras.Input((), dtype="string", name="text")
    x = keras.layers.TextVectorization(vocabulary=WORDS, output_sequence_length=3, name="vectorize")(text)
    x = keras.layers.Embedding(len(WORDS) + 2, 4, name="embed")(x)
    return keras.Model(text, keras.layers.Dense(2, name="head")(keras.layers.Flatten(name="flatten")(x)))


def nested(mix: bool = False) -> keras.Model:
    """``{"user": {"age", "tags"}, "items": [a, b]}`` -> ``{"scores": {"user", "items"}, "sum": [...]}``."""
    inputs = {
        "user": {"age": keras.Input((1,), name="age"), "tags": keras.Input((3,), name="tags")},
        "items": [keras.Input((4,), name="first"), keras.Input((4,), name="second")],
    }
    user = keras.layers.Concatenate(name="user")([inputs["user"]["age"], inputs["user"]["tags"]])
    items = keras.layers.Add(name="items")(inputs["items"])
    if mix:
        items = items - keras.ops.mean(items, axis=0)
    outputs = {
        "scores": {"user": keras.layers.Dense(2, name="u")(user), "items": keras.layers.Dense(3, name="i")(items)},
        "all": [keras.layers.Concatenate(name="joined")([user, items])],
    }
    return keras.Model(inputs, outputs)


def integers_and_booleans() -> keras.Model:
    ids = keras.Input((3,), dtype="int32", name="ids")
    flags = keras.Input((2,), dtype="bool", name="flags")
    x = keras.layers.Flatten(name="flatten")(keras.layers.Embedding(8, 2, name="embed")(ids))
    both = keras.layers.Concatenate(name="both")([x, keras.ops.cast(flags, "float32")])
    return keras.Model([ids, flags], [keras.layers.Dense(2, name="left")(both), keras.layers.Dense(1, name="right")(x)])


class Structures(nn.Module):
    """A tuple that holds a list; ``mix`` makes the second of its outputs depend on the whole batch."""

    def __init__(self, mix: bool) -> None:
        super().__init__()
        self.mix = mix
        self.one = nn.Linear(4, 3)
        self.two = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        second = self.two(x)
        if self.mix:
            second = second - second.mean(0)
        return self.one(x), [second, x]


class Named(nn.Module):
    def __init__(self, mix: bool) -> None:
        super().__init__()
        self.inner = Structures(mix)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        first, rest = self.inner(x)
        return {"scores": first, "tail": rest[0]}


class Pairs(nn.Module):
    """In-batch scores."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.embed(x)
        return y @ y.t()


class WithConstant(nn.Module):
    """A value for every sample, and a table that has none."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 3)
        self.table = nn.Parameter(torch.arange(10.0).reshape(2, 5))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.embed(x), self.table * 2


class Discrete(nn.Module):
    """The class alone."""

    def __init__(self, mix: bool) -> None:
        super().__init__()
        self.mix = mix
        self.embed = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.embed(x)
        if self.mix:
            y = y - y.mean(0)
        return y.argmax(1)


def write_keras(model: keras.Model, folder: Path, form: str) -> Path:
    """As an archive, or exported."""
    path = folder / ("model.keras" if form == "keras" else "exported")
    if form == "keras":
        model.save(path)
    else:
        model.export(path, verbose=False)
    return path


def write_script(module: nn.Module, folder: Path) -> Path:
    """Scripted."""
    torch.manual_seed(0)
    return save(script(module.eval()), folder / "model.pt")


class Ragged(tf.Module):
    """Sums of rows of different lengths, from their values and their splits."""

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.float32, "values"), tf.TensorSpec([None], tf.int64, "row_splits")]
    )
    def sums(self, values, row_splits):
        rows = tf.RaggedTensor.from_row_splits(values, row_splits)
        return {"sums": tf.reduce_sum(rows, axis=1)}


class Texts(tf.Module):
    """How long every text is."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.string, "text")])
    def lengths(self, text):
        return {"lengths": tf.cast(tf.strings.length(text), tf.float32)}


class RaggedInside(tf.Module):
    """How many words every text has, and all words of the batch in one row."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def words(self, text):
        found = tf.strings.split(text)
        return {"lengths": tf.cast(found.row_lengths(), tf.float32), "values": found.flat_values}


def write_module(module: tf.Module, function: str, folder: Path) -> Path:
    """A SavedModel with one signature."""
    path = folder / "module"
    tf.saved_model.save(module, path, signatures={"serving_default": getattr(module, function)})
    return path
