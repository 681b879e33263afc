"""Custom Keras layers that treat the batch as they must not. Registered, so that ``--import`` makes them known."""

from __future__ import annotations

import keras
from keras import layers, ops

SIZE = 7  # the size that hard-coded models want


def _top_k(x):
    return x * ops.cast(x >= ops.moveaxis(ops.top_k(ops.moveaxis(x, 0, -1), 2)[0][..., 1:], -1, 0), x.dtype)


def _heads_back(x):
    batch, steps, width = ops.shape(x)
    heads = ops.transpose(ops.reshape(x, (batch, steps, 2, width // 2)), (2, 0, 1, 3))
    return ops.reshape(heads, (batch, steps, width))


def _capacity(x):
    """Each token goes to one of two experts, which take three tokens of the whole batch; the others pass unchanged."""
    tokens = ops.reshape(x, (-1, x.shape[-1]))
    chosen = ops.one_hot(ops.argmax(tokens[:, :2], axis=-1), 2, dtype=x.dtype)
    place = ops.sum(ops.cumsum(chosen, axis=0) * chosen, axis=-1)
    kept = ops.cast(place <= 3, x.dtype)[:, None]
    return ops.reshape(kept * ops.tanh(tokens) + (1 - kept) * tokens, ops.shape(x))


def _one_scale(x):
    """A fast path for large batches: rounded with one scale for all."""
    scale = ops.max(ops.abs(x)) / 15.0
    return ops.where(ops.cast(ops.shape(x)[0], "int32") > 18, ops.round(x / scale) * scale, x)


def _few_places(x):
    """An expert that takes twelve rows of the batch; the others go on as they are."""
    wanted = ops.cast(x[:, :1] > 0, x.dtype)
    return x + wanted * ops.cast(ops.cumsum(wanted, axis=0) <= 12, x.dtype) * ops.tanh(x)


def _windows(x):
    """Halves of neighbouring samples are exchanged on the way back."""
    batch, width = ops.shape(x)
    return ops.reshape(ops.transpose(ops.reshape(x, (batch, 2, width // 2)), (1, 0, 2)), (batch, width))


def _lengths(x):
    """Which steps count: ``(1, T)`` is held against ``(B,)`` instead of ``(B, 1)``."""
    steps, lengths = ops.arange(5)[None], ops.cast(2 + ops.abs(x[:, 0, 0]), "int32")
    return x * ops.cast(steps < lengths, x.dtype)[:, :, None]


def _filled_by_the_batch(x):
    """What is missing is filled with the mean of the other requests."""
    missing = ops.isnan(x)
    there, known = ops.where(missing, 0.0, x), ops.where(missing, 0.0, 1.0)
    mean = ops.sum(there, axis=0, keepdims=True) / ops.maximum(ops.sum(known, axis=0, keepdims=True), 1.0)
    return ops.where(missing, mean, x)


def floor_below(x, axis=None):
    """Decibels, cut eighty below the loudest: of the batch, or of the sample."""
    loud = 10.0 * ops.log10(ops.square(x) + 1e-10)
    return ops.maximum(loud, ops.max(loud, axis=axis, keepdims=True) - 80.0)


def _three_rows(x):
    """A loop of three turns, whatever the batch: the other rows stay zero."""
    rows = ops.zeros_like(x)
    for number in range(3):
        rows = ops.scatter_update(rows, [[number]], ops.tanh(x[number])[None])
    return rows


def _filled_by_the_nearest(x):
    """What is missing is taken from the sample that is most alike."""
    missing = ops.isnan(x)
    there = ops.where(missing, 0.0, x)
    squares = ops.sum(there * there, axis=1)
    apart = squares[:, None] + squares[None] - 2.0 * ops.matmul(there, ops.transpose(there))
    places = ops.arange(ops.shape(x)[0])
    apart = apart + 1e9 * ops.cast(places[:, None] == places[None], x.dtype)
    return ops.where(missing, ops.take(there, ops.argmin(apart, axis=1), axis=0), there)


def best_that_counts(x, axis=0):
    """Less the largest of what is above zero: of the batch, or of the sample."""
    best = ops.max(ops.where(x < 0, -float("inf"), x), axis=axis, keepdims=True)
    return x - ops.where(best > 0, best, 0.0)


def _put_back_wrongly(x):
    """Sorted by what the samples hold, and put back by the order itself instead of its inverse."""
    order = ops.argsort(ops.sum(x, axis=1))
    return ops.take(ops.tanh(ops.take(x, order, axis=0)), order, axis=0)


def _segments(x):
    """The sum of all samples of the same sign."""
    kind = ops.cast(x[:, 0] > 0, "int32")
    return ops.take(ops.segment_sum(x, kind, num_segments=2), kind, axis=0)


def _places(x):
    """Positions of steps, counted along the samples."""
    return ops.cast(ops.reshape(ops.arange(ops.shape(x)[0]), (-1,) + (1,) * (len(x.shape) - 1)), x.dtype)


FUNCTIONS = {
    "softmax": lambda x: ops.softmax(x, axis=0),
    "log softmax": lambda x: ops.log_softmax(x, axis=0),
    "norm": lambda x: x / ops.norm(x, axis=0, keepdims=True),
    "mean": lambda x: x - ops.mean(x, axis=0, keepdims=True),
    "variance": lambda x: x / (1e-3 + ops.std(x, axis=0, keepdims=True)),
    "batch maximum": lambda x: x - ops.max(x, axis=0, keepdims=True),
    "range": lambda x: (x - ops.min(x, axis=0)) / (ops.max(x, axis=0) - ops.min(x, axis=0)),
    "cumsum": lambda x: ops.cumsum(x, axis=0),
    "sort": lambda x: ops.sort(x, axis=0),
    "top-k": _top_k,
    "roll": lambda x: ops.roll(x, 1, axis=0),
    "flip": lambda x: ops.flip(x, axis=0),
    "difference": lambda x: x - ops.roll(x, 1, axis=0),
    "global norm": lambda x: x / ops.norm(ops.reshape(x, (-1,))),
    "global mean": lambda x: x - ops.mean(x),
    "permute": lambda x: ops.reshape(ops.transpose(x), ops.shape(x)),
    "by place": lambda x: x + ops.sin(_places(x)),
    "by size": lambda x: x / (1 + ops.cast(ops.shape(x)[0], x.dtype)),
    "one scale above 18 samples": _one_scale,
    "room for twelve rows": _few_places,
    "windows": _windows,
    "put back wrongly": _put_back_wrongly,
    "segments": _segments,
    "heads back": _heads_back,
    "attention": lambda x: ops.matmul(ops.softmax(ops.matmul(x, ops.transpose(x))), x),
    "scores": lambda x: ops.matmul(x, ops.transpose(x)),
    "capacity": _capacity,
    "branch": lambda x: ops.where(ops.max(ops.abs(x)) > 6.0, -x, x),
    "clip": lambda x: x * ops.minimum(1.0, 6.0 / ops.max(ops.abs(x), axis=0, keepdims=True)),
    "zero product": lambda x: x + ops.sum(x * 0.0, axis=0),
    "lost": lambda x: ops.mean(x, axis=0),
    "total": lambda x: ops.sum(x),
    "hard-coded": lambda x: ops.reshape(ops.reshape(x, (SIZE, -1)), (-1, x.shape[-1])) + ops.zeros((SIZE, 1)),
    "one sample": lambda x: ops.tanh(x[:1]),
    "last sample": lambda x: ops.tanh(x[-1:]),
    "as many features as samples": lambda x: ops.mean(ops.concatenate([x, x[:, :1]], axis=1), axis=0),
    "squeeze": lambda x: ops.squeeze(x),
    "mask": lambda x: x * ops.cast(ops.sum(x, axis=-1) > 0, x.dtype),
    "time-major": lambda x: ops.transpose(x, (1, 0, 2)),
    "lengths": _lengths,
    "filled with the mean of the batch": _filled_by_the_batch,
    "floor below the loudest of the batch": floor_below,
    "a loop of three turns": _three_rows,
    "four turns of a loop": lambda x: ops.stack([ops.tanh(x[turn]) for turn in range(4)]),
    "a table of seven rows": lambda x: ops.reshape(ops.arange(42, dtype=x.dtype) / 42.0, (SIZE, 6)),
    "column less row": lambda x: (
        x + ops.mean(ops.mean(x, axis=1, keepdims=True) - ops.max(x, axis=1), axis=1, keepdims=True)
    ),
    "best of all that counts": best_that_counts,
    "filled by the nearest sample": _filled_by_the_nearest,
    "rounded above 18 samples": lambda x: ops.where(
        ops.cast(ops.shape(x)[0], "int32") > 18, ops.round(x * 2.0) / 2.0, x
    ),
    "turned": lambda x: ops.transpose(ops.tanh(x)),
    "two rows a sample": lambda x: ops.reshape(ops.tanh(x), (-1, 3)),
    "empty": lambda x: x / ops.sum(ops.cast(x > 1e9, x.dtype), axis=-1, keepdims=True),
    "leak into the last": lambda x: x + 0.1 * ops.roll(x, 1, axis=0) * ops.cast(
        ops.reshape(ops.arange(ops.shape(x)[0]) == ops.shape(x)[0] - 1, (-1,) + (1,) * (len(x.shape) - 1)), x.dtype
    ),
}  # fmt: skip


@keras.saving.register_keras_serializable("faults")
class Apply(layers.Layer):
    """One of :data:`FUNCTIONS` as a layer."""

    def __init__(self, what, **kwargs):
        super().__init__(**kwargs)
        self.what = what

    def call(self, x):
        return FUNCTIONS[self.what](x)

    def compute_output_shape(self, shape):
        if self.what == "squeeze":  # its own shape cannot be told: that is the fault
            return shape[:-1]
        others = {
            "lost": shape[1:], "total": (), "scores": (shape[0], shape[0]), "one sample": (1, *shape[1:]),
            "four turns of a loop": (4, *shape[1:]), "a table of seven rows": (7, *shape[1:]),
            "last sample": (1, *shape[1:]), "as many features as samples": (7,),
            "turned": shape[::-1], "two rows a sample": (None, 3),
        }  # fmt: skip
        if self.what in others:
            return others[self.what]
        return (shape[1], shape[0], shape[2]) if self.what == "time-major" else shape

    def get_config(self):
        return {**super().get_config(), "what": self.what}


@keras.saving.register_keras_serializable("faults")
class InTraining(layers.Layer):
    """Calls a layer in training mode, whatever it is told."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = keras.saving.deserialize_keras_object(inner) if isinstance(inner, dict) else inner

    def build(self, shape):
        if not self.inner.built:  # a loaded one is
            self.inner.build(shape)

    def call(self, x):
        return self.inner(x, training=True)

    def get_config(self):
        return {**super().get_config(), "inner": keras.saving.serialize_keras_object(self.inner)}


@keras.saving.register_keras_serializable("faults")
class Running(layers.Layer):
    """Adds the sum of all batches so far."""

    def build(self, shape):
        self.sum = self.add_weight(shape=shape[1:], initializer="zeros", trainable=False, name="sum")

    def call(self, x):
        self.sum.assign_add(ops.sum(x, axis=0))
        return x + self.sum


@keras.saving.register_keras_serializable("faults")
class Keeps(layers.Layer):
    """Keeps something of a request for the next one.

    Args:
        what: ``first`` sets the scale of all, ``last`` is remembered, ``calls`` are counted, ``seen`` goes nowhere;
            ``mean`` and ``own mean`` are taken off, beside a counter that goes nowhere.
    """

    def __init__(self, what, **kwargs):
        super().__init__(**kwargs)
        self.what = what

    def build(self, shape):
        self.kept = self.add_weight(shape=shape[1:], initializer="zeros", trainable=False, name="kept")

    def call(self, x):
        if self.what == "first":
            self.kept.assign(ops.where(self.kept == 0.0, ops.max(ops.abs(x[:1])) + 1.0, self.kept))
            return x / self.kept
        if self.what == "calls":
            self.kept.assign_add(ops.ones_like(self.kept))
            return x * self.kept
        if "mean" in self.what:
            self.kept.assign_add(ops.ones_like(self.kept))
            return x - ops.mean(x, axis=0 if self.what == "mean" else 1, keepdims=True)
        seen = x - 0.5 * self.kept if self.what == "last" else 2.0 * x
        self.kept.assign(x[-1])
        return seen

    def get_config(self):
        return {**super().get_config(), "what": self.what}


@keras.saving.register_keras_serializable("faults")
class MaskedAverage(layers.Layer):
    """As it was published: ``(B, T, F)`` times ``(B, T)``."""

    def call(self, values, mask):
        mask = ops.cast(mask, values.dtype)
        return ops.sum(values * mask, axis=1) / (1e-6 + ops.sum(mask, axis=1, keepdims=True))


@keras.saving.register_keras_serializable("faults")
class Block(layers.Layer):
    """Dense, a fault, dense: the fault sits in an attribute of a custom layer."""

    def __init__(self, what, **kwargs):
        super().__init__(**kwargs)
        self.what = what
        self.first = layers.Dense(6)
        self.mid = Apply(what, name="mid")
        self.last = layers.Dense(6)

    def build(self, shape):
        for layer in (self.first, self.mid, self.last):
            layer.build((*shape[:-1], 6))

    def call(self, x):
        return self.last(self.mid(self.first(x)))

    def get_config(self):
        return {**super().get_config(), "what": self.what}


def _counted(x, mask):
    return ops.sum(x * mask[:, :, None], axis=1)


MEANS = {
    "padding-blind mean": lambda x, mask: _counted(x, mask) + ops.mean(x, axis=1),
    "mean over an empty mask": lambda x, mask: _counted(x, mask) / ops.sum(mask, axis=1, keepdims=True),
    "masked mean": lambda x, mask: _counted(x, mask) / ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1.0),
}
"""Of steps: two faults and what is right."""


@keras.saving.register_keras_serializable("faults")
class Mean(layers.Layer):
    """One of :data:`MEANS` as a layer."""

    def __init__(self, what, **kwargs):
        super().__init__(**kwargs)
        self.what = what

    def call(self, x, mask):
        return MEANS[self.what](x, ops.cast(mask, x.dtype))

    def get_config(self):
        return {**super().get_config(), "what": self.what}


@keras.saving.register_keras_serializable("zoo")
class AtSizes(layers.Layer):
    """Code of Python that asks how many samples there are: at some numbers all are divided by the largest of all.

    Args:
        what: at which; or pieces of forty, of which each hands something to the next.
        alone: each is divided by its own largest, and nothing is handed on.
    """

    def __init__(self, what: str, alone: bool, parts: int = 9, **options) -> None:
        super().__init__(**options)
        self.what, self.alone, self.parts = what, alone, parts

    def call(self, x):
        size = x.shape[0]
        if self.what.startswith("pieces") and size is not None:
            return self._in_pieces(x, size)
        asked = size is not None and (
            (self.what.startswith("above a computed") and size > 10 * self.parts)
            or (self.what.startswith("at 12") and size in (12, 24, 48))
            or (self.what.startswith("above 600") and size * x.shape[1] > 600)
        )
        return x / ops.max(ops.abs(x), axis=None if asked and not self.alone else 1, keepdims=True)

    def _in_pieces(self, x, size):
        done, carried = [], ops.zeros_like(x[:1])
        for start in range(0, size, 40):
            piece = x[start : start + 40]
            done.append(ops.tanh(piece if self.alone else piece + 0.1 * carried))
            carried = ops.mean(piece, axis=0, keepdims=True)
        return ops.concatenate(done, axis=0)

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return {**super().get_config(), "what": self.what, "alone": self.alone, "parts": self.parts}
