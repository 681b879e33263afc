"""Keras models and SavedModels with several inputs: questions that are put to two, and lengths that are not heeded.

With what refuses made-up data that is not valid: lengths above the steps, segments out of order. No file but
``.keras`` and SavedModels holds operations of ``keras.ops``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from zoo.cases import Case
from zoo.faults.keras_faults import write
from zoo.faults.torch_kinds import _masked, _sequences
from zoo.savedmodel import _module, _save, _weights

STEPS = 9


def two(alone: bool) -> keras.Model:
    """Nobody is below zero in the one input and above zero in the other: of all samples, or of each."""
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    below = ops.min(ops.cast(a < 0, "float32"), axis=1, keepdims=True)
    both = below * ops.min(ops.cast(b > 0, "float32"), axis=1, keepdims=True)
    asked = both if alone else layers.Identity(name="fault")(ops.max(both, axis=0, keepdims=True))
    return keras.Model([a, b], layers.Dense(3, name="after")(ops.tanh(a) + ops.tanh(b) - 0.1 * asked))


def biased(swapped: bool) -> keras.Model:
    """Keras 3.15 takes ``(B, 1)`` for a bias where it is added to features of which there are as many as samples."""
    x = keras.Input((6,), name="x")
    features, column = layers.Dense(4, name="features")(x), layers.Dense(1, name="column")(x)
    return keras.Model(x, layers.Dense(3, name="after")(column + features if swapped else features + column))


def scaled(alone: bool) -> keras.Model:
    """More than a hundred samples are divided by the largest of all; or what is large by its own largest."""
    x = keras.Input((6,), name="x")
    turned = layers.Dense(6, name="before")(x)
    asked = ops.sum(ops.abs(turned) if alone else ops.ones_like(turned[:, :1]), axis=int(alone), keepdims=True)
    largest = ops.max(ops.abs(turned), axis=int(alone), keepdims=True)
    if not alone:
        largest = layers.Identity(name="fault")(largest)
    return keras.Model(x, layers.Dense(3, name="after")(ops.where(asked > 100, turned / largest, turned)))


def faint(alone: bool) -> keras.Model:
    """What is next to silent, though not zero, is divided by the loudest of all, or by its own."""
    x = keras.Input((6,), name="x")
    own = ops.max(ops.abs(x), axis=1, keepdims=True)
    loudest = own if alone else layers.Identity(name="fault")(ops.max(own, axis=0, keepdims=True))
    return keras.Model(x, layers.Dense(3, name="after")(ops.where(own < 1e-3, x / (loudest + 1e-6), x)))


def put_back(alone: bool) -> keras.Model:
    """What is far larger than usual is put back by the batch's mean, or by its own: only the loud look at others."""
    x = keras.Input((6,), name="x")
    turned = layers.Dense(6, name="before")(x)
    mean = ops.mean(turned, axis=int(alone), keepdims=True)
    if not alone:
        mean = layers.Identity(name="fault")(mean)
    loud = ops.max(ops.abs(turned), axis=1, keepdims=True) > 100
    return keras.Model(x, layers.Dense(3, name="after")(ops.tanh(ops.where(loud, 0.01 * (turned - mean), turned))))


def lengths(heeds: bool) -> keras.Model:
    """The mean of a sequence that an input tells the length of."""
    x = keras.Input((None, 4), name="x")
    told = keras.Input((), dtype="int64", name="lengths")
    turned = layers.Dense(4, activation="tanh", name="before")(x)
    places = ops.cumsum(ops.ones_like(turned[:, :, 0]), axis=1)
    counts = ops.expand_dims(ops.cast(places <= ops.expand_dims(ops.cast(told, "float32"), 1), "float32"), -1)
    if heeds:
        y = ops.sum(turned * counts, 1) / ops.maximum(ops.sum(counts, 1), 1.0)
    else:
        y = ops.sum(counts, 1) + layers.GlobalAveragePooling1D(name="mean")(turned)
    return keras.Model([x, told], y)


def strided(heeds: bool) -> keras.Model:
    """A convolution that skips steps; the mask is applied before it, and behind it or not."""
    x, mask = keras.Input((None, 4), name="x"), keras.Input((None,), name="mask")
    kept = x * ops.expand_dims(mask, -1)
    turned = ops.relu(layers.Conv1D(3, 1, strides=2, name="turn", bias_initializer="ones")(kept))
    if heeds:
        counts = ops.expand_dims(mask[:, ::2], -1)
        y = ops.sum(turned * counts, 1) / ops.maximum(ops.sum(counts, 1), 1.0)
    else:
        y = layers.GlobalAveragePooling1D(name="pool")(turned)
    return keras.Model([x, mask], layers.Dense(2, name="after")(y))


def lengths_that_must_fit(folder: Path) -> Path:
    """A length above the steps is refused, as is none at all."""

    def run(self, x, lengths):
        with tf.name_scope("checked"):
            longest = tf.cast(tf.shape(x)[1], tf.int64)
            tf.debugging.assert_less_equal(lengths, longest)
            tf.debugging.assert_positive(lengths)
            counts = tf.cast(tf.range(longest)[None] < lengths[:, None], tf.float32)[..., None]
        with tf.name_scope("mean"):
            return {"y": tf.matmul(tf.reduce_sum(x * counts, 1) / tf.reduce_sum(counts, 1), self.w)}

    specs = [tf.TensorSpec((None, STEPS, 4), name="x"), tf.TensorSpec((None,), tf.int64, name="lengths")]
    module = _module(run, {"w": tf.Variable(_weights(4, 3), name="w")}, specs)
    return _save(module, folder / "module", signatures=module.run)


def segments_in_order(folder: Path) -> Path:
    """Sums of the steps of a segment, whose numbers must not fall."""

    def run(self, x, segments):
        def one(pair):
            return tf.reduce_sum(tf.tanh(tf.math.segment_sum(pair[0], pair[1])), 0)

        with tf.name_scope("sums"):
            return {"y": tf.matmul(tf.map_fn(one, (x, segments), fn_output_signature=tf.float32), self.w)}

    specs = [tf.TensorSpec((None, STEPS, 4), name="x"), tf.TensorSpec((None, STEPS), tf.int64, name="segments")]
    module = _module(run, {"w": tf.Variable(_weights(4, 3), name="w")}, specs)
    return _save(module, folder / "module", signatures=module.run)


def on_a_grid(given: bool, folder: Path) -> Path:
    """Numbers on a grid from the least to the largest of all, or between numbers that are given.

    That none is given is the operation's default, which a file leaves out.
    """

    def run(self, x):
        with tf.name_scope("fault"):
            ends = (-4.0, 4.0) if given else (0.0, 0.0)
            y = tf.quantization.quantize_and_dequantize_v2(x, *ends, range_given=given)
        return {"y": tf.matmul(y, self.w)}

    held = {"w": tf.Variable(_weights(6, 3), name="w")}
    module = _module(run, held, [tf.TensorSpec((None, 6), name="x")])
    return _save(module, folder / "module", signatures=module.run)


def in_order() -> dict[str, np.ndarray]:
    """Steps, and the segments that they are of."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((7, STEPS, 4)).astype(np.float32)
    return {"x": x, "segments": np.sort(rng.integers(0, 4, (7, STEPS)), axis=1)}


SEQUENCES: dict[str, tuple[Callable[[bool], keras.Model], Callable[[], dict[str, np.ndarray]], str, str]] = {
    "lengths": (lengths, partial(_sequences, False), "x=0", "mean"),
    "strided": (strided, _masked, "mask", "pool"),
}
"""What builds it, data, how the mask is named, and the layer that is blind to it."""


def _cases(*, faulty: bool) -> Iterator[Case]:
    for form in ("keras", "savedmodel"):
        build = partial(write, partial(two, not faulty), form)
        rare = ("a rare value", ("KMR101",), {"keras": "max", "savedmodel": "Max"}[form]) if faulty else ()
        yield Case("asks: two inputs" + ("" if faulty else ", each sample"), form, build, *rare)
        build = partial(write, partial(scaled, not faulty), form)
        above = ("above a size", ("KMR101", "KMR102"), {"keras": "max", "savedmodel": "Max"}[form]) if faulty else ()
        yield Case("one scale above a hundred samples" if faulty else "own scale above a hundred", form, build, *above)
        build = partial(write, partial(put_back, not faulty), form)
        loud = ("a loud victim", ("KMR101",), {"keras": "mean", "savedmodel": "Mean"}[form]) if faulty else ()
        yield Case("the loud less the mean" if faulty else "the loud less their own mean", form, build, *loud)
        build = partial(write, partial(faint, not faulty), form)
        least = ("a faint victim", ("KMR101",), {"keras": "max_1", "savedmodel": "Max_1"}[form]) if faulty else ()
        yield Case("the faint by the loudest" if faulty else "the faint by their own loudest", form, build, *least)
        for name, (make, data, mask, layer) in SEQUENCES.items():
            build = partial(write, partial(make, not faulty), form)
            blind = ("mask", ("KMR201",), layer) if faulty else ()
            what = "padding-blind" if faulty else "padding left out"
            yield Case(f"{name}, {what}", form, build, *blind, data=data, masks=(mask,))


def cases() -> Iterator[Case]:
    """The faults."""
    yield from _cases(faulty=True)
    build = partial(write, partial(biased, False), "keras")
    yield Case("features and a column", "keras", build, "column less row", ("KMR103",), "add")
    build, kind = partial(on_a_grid, False), "dynamic quantization"
    yield Case("a grid from all samples", "savedmodel", build, kind, ("KMR101",), "fault")


def clean() -> Iterator[Case]:
    """Their twins, and what refuses data that is not valid."""
    yield from _cases(faulty=False)
    yield Case("a column and features", "keras", partial(write, partial(biased, True), "keras"))
    yield Case("features and a column", "savedmodel", partial(write, partial(biased, False), "savedmodel"))
    yield Case("a grid that is given", "savedmodel", partial(on_a_grid, True))
    yield Case("lengths that must fit", "savedmodel", lengths_that_must_fit, data=partial(_sequences, False))
    yield Case("segments in order", "savedmodel", segments_in_order, data=in_order)
