"""Answers with as many rows for each sample as it has something to say: ragged and sparse tensors, and lists.

Whose rows they are stands beside the values, and no part of the answer has an axis for the samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import keras
import tensorflow as tf
import torch
from keras import layers
from zoo.cases import Case
from zoo.savedmodel import _module, _quiet, _save, _weights

IMPORTS = ("zoo.faults.ragged",)


def _rows(x: tf.Tensor) -> tf.RaggedTensor:
    """Of every sample its first steps, as many as it has positive ones."""
    steps = tf.reduce_sum(tf.cast(x[:, :, 0] > 0, tf.int64), 1)
    return tf.RaggedTensor.from_tensor(x, lengths=steps)


def _less_mean(rows: tf.RaggedTensor) -> tf.RaggedTensor:
    """Less the mean of all rows of all samples."""
    with tf.name_scope("fault"):
        return rows.with_flat_values(rows.flat_values - tf.reduce_mean(rows.flat_values, 0))


def scores(module: tf.Module, x: tf.Tensor, alone: bool) -> dict[str, tf.RaggedTensor]:
    """A vector for each of a sample's steps."""
    rows = tf.ragged.map_flat_values(lambda flat: flat @ module.w, _rows(x))
    return {"scores": rows if alone else _less_mean(rows)}


def pairs(module: tf.Module, x: tf.Tensor, alone: bool) -> dict[str, tf.RaggedTensor]:
    """Of each of a sample's steps the features that are positive."""
    rows = _rows(x @ module.u)
    kept = tf.ragged.boolean_mask(rows, rows > 0)
    return {"kept": kept if alone else _less_mean(kept)}


def lengths(_: tf.Module, x: tf.Tensor, alone: bool) -> dict[str, tf.RaggedTensor]:
    """As many of a sample's steps as it has above its own mean, or above that of all samples."""
    features = x[:, :, 0]
    with tf.name_scope("fault"):
        least = tf.reduce_mean(features, 1, keepdims=True) if alone else tf.reduce_mean(features)
    steps = tf.reduce_sum(tf.cast(features > least, tf.int64), 1)
    return {"rows": tf.RaggedTensor.from_tensor(x, lengths=steps)}


def places(_: tf.Module, x: tf.Tensor, alone: bool) -> dict[str, tf.SparseTensor]:
    """What is above zero, or above the mean of all samples."""
    flat = tf.reshape(x, (-1, 24))
    with tf.name_scope("fault"):
        least = 0.0 if alone else tf.reduce_mean(flat)
        above = tf.nn.relu(flat - least)
    return {"above": tf.sparse.from_dense(above)}


def module(returns: Callable[..., dict[str, tf.RaggedTensor]], alone: bool, folder: Path) -> Path:
    """A signature with such an answer."""
    weights = {"w": tf.Variable(_weights(4, 3), name="w"), "u": tf.Variable(_weights(4, 4) - 0.5, name="u")}
    made = _module(partial(_with, returns, alone), weights, [tf.TensorSpec((None, 6, 4), name="x")])
    return _save(made, folder / "model", signatures=made.run)


def _with(returns: Callable[..., dict[str, tf.RaggedTensor]], alone: bool, module: tf.Module, x: tf.Tensor):
    return returns(module, x, alone)


@keras.saving.register_keras_serializable("ragged")
class Rows(keras.Model):
    """A dense layer, of whose steps a sample keeps the first.

    Args:
        alone: without the mean of all samples taken from them.
    """

    def __init__(self, alone, **kwargs):
        super().__init__(**kwargs)
        self.alone = alone
        self.scores = layers.Dense(3, name="scores")

    def build(self, shape):
        self.scores.build(shape)
        self.built = True

    def call(self, x):
        rows = _rows(self.scores(x))
        return rows if self.alone else _less_mean(rows)

    def get_config(self):
        return {**super().get_config(), "alone": self.alone}


def subclassed(alone: bool, folder: Path) -> Path:
    """As an archive."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
    model = Rows(alone, name="rows")
    model(tf.ones((2, 6, 4)))
    with _quiet():
        model.save(folder / "model.keras")
    return folder / "model.keras"


class Detector(torch.nn.Module):
    """Scores for each of a sample's steps that is positive, computed together for all samples.

    Args:
        alone: without the mean of all of them taken away.
    """

    def __init__(self, alone: bool):
        super().__init__()
        self.alone = alone
        self.scores = torch.nn.Linear(16, 5)

    def forward(self, x):
        found = x[:, :, 0] > 0
        scores = self.scores(x[found])
        if not self.alone:
            scores = scores - scores.mean()
        counts: list[int] = found.sum(1).tolist()
        return list(scores.split(counts))


def scripted(alone: bool, folder: Path) -> Path:
    """A list with a tensor for each sample."""
    torch.manual_seed(0)
    torch.jit.script(Detector(alone).eval()).save(folder / "model.pt")
    return folder / "model.pt"


_BUILDERS = {"ragged scores": scores, "ragged in two levels": pairs, "ragged lengths": lengths, "sparse": places}
_FLAT = {None: (6, 16)}


def cases() -> Iterator[Case]:
    """Those in which samples meet."""
    for name, build in _BUILDERS.items():
        layer = "fault"
        yield Case(f"{name}, tf.Module", "savedmodel", partial(module, build, False), "ragged", ("KMR101",), layer)
    yield Case(
        "ragged", "keras", partial(subclassed, False), "ragged", ("KMR101",), "", {None: (6, 4)}, imports=IMPORTS
    )
    yield Case("a list of scores", "torchscript", partial(scripted, False), "ragged", ("KMR101",), "", _FLAT)


def clean() -> Iterator[Case]:
    """Those in which they do not."""
    for name, build in _BUILDERS.items():
        yield Case(f"{name}, its own, tf.Module", "savedmodel", partial(module, build, True))
    yield Case("ragged, its own", "keras", partial(subclassed, True), shapes={None: (6, 4)}, imports=IMPORTS)
    yield Case("a list of scores, its own", "torchscript", partial(scripted, True), shapes=_FLAT)
