"""Custom Keras layers that move the batch about and put every sample back where it belongs."""

from __future__ import annotations

import keras
from keras import layers, ops
from zoo.faults.keras_layers import best_that_counts, floor_below


def _merged_heads(x):
    batch, steps, width = ops.shape(x)
    heads = ops.transpose(ops.reshape(x, (batch, steps, 2, width // 2)), (0, 2, 1, 3))
    merged = ops.reshape(heads, (batch * 2, steps, width // 2))
    seen = ops.matmul(ops.softmax(ops.matmul(merged, ops.transpose(merged, (0, 2, 1)))), merged)
    back = ops.transpose(ops.reshape(seen, (batch, 2, steps, width // 2)), (0, 2, 1, 3))
    return ops.reshape(back, (batch, steps, width))


def _shifted_windows(x):
    batch, steps, width = ops.shape(x)
    windows = ops.reshape(ops.roll(x, -2, axis=1), (batch * 2, steps // 2, width))
    seen = ops.matmul(ops.softmax(ops.matmul(windows, ops.transpose(windows, (0, 2, 1)))), windows)
    return ops.roll(ops.reshape(seen, (batch, steps, width)), 2, axis=1)


def _sort_and_unsort(x):
    order = ops.argsort(ops.sum(x, axis=(1, 2)))
    return ops.take(ops.tanh(ops.take(x, order, axis=0)), ops.argsort(order), axis=0)


def _another_way(x):
    """Large batches take another way to the same values."""
    return ops.where(ops.cast(ops.shape(x)[0], "int32") > 18, x + x, 2 * x)


def _room_for_all(x):
    """An expert with more places than any batch has rows."""
    wanted = ops.cast(x[:, :1, :1] > 0, x.dtype)
    return x + wanted * ops.cast(ops.cumsum(wanted, axis=0) <= 10000, x.dtype) * ops.tanh(x)


def _instance_norm(x):
    return (x - ops.mean(x, axis=1, keepdims=True)) / (1e-3 + ops.std(x, axis=1, keepdims=True))


FUNCTIONS = {
    "time-major inside": lambda x: ops.transpose(ops.cumsum(ops.transpose(x, (1, 0, 2)), axis=0), (1, 0, 2)),
    "merged heads": _merged_heads,
    "shifted windows": _shifted_windows,
    "sort and unsort": _sort_and_unsort,
    "flip twice": lambda x: ops.flip(ops.tanh(ops.flip(x, axis=0)), axis=0),
    "roll and back": lambda x: ops.roll(ops.tanh(ops.roll(x, 1, axis=0)), -1, axis=0),
    "batch merged into steps": lambda x: ops.reshape(ops.tanh(ops.reshape(x, (-1, x.shape[-1]))), ops.shape(x)),
    "map over samples": lambda x: ops.map(lambda one: one - ops.mean(one), x),
    "another way above 18 samples": _another_way,
    "room for all rows": _room_for_all,
    "instance norm": _instance_norm,
    "filled with zeros": lambda x: ops.where(ops.isnan(x), 0.0, x),
    "floor below its own loudest": lambda x: floor_below(x, axis=(1, 2)),
    "a turn for every sample": lambda x: ops.map(ops.tanh, x),
    "a table of one row": lambda x: x + ops.reshape(ops.arange(8, dtype=x.dtype) / 8.0, (1, 1, 8)),
    "column less column": lambda x: x + ops.mean(x, axis=1, keepdims=True) - ops.max(x, axis=1, keepdims=True),
    "best of its own that counts": lambda x: best_that_counts(x, axis=(1, 2)),
    "filled by the step beside it": lambda x: ops.where(
        ops.isnan(x), ops.roll(ops.where(ops.isnan(x), 0.0, x), 1, axis=1), x
    ),
    "padded and cut": lambda x: ops.cumsum(ops.pad(x, ((0, 1), (0, 0), (0, 0))), axis=1)[:-1],
    "attention within a sample": lambda x: ops.matmul(ops.softmax(ops.matmul(x, ops.transpose(x, (0, 2, 1)))), x),
    "cumulative sum over steps": lambda x: ops.cumsum(x, axis=1),
    "top-k of features": lambda x: x * ops.cast(x >= ops.top_k(x, 3)[0][..., 2:], x.dtype),
}


@keras.saving.register_keras_serializable("clean")
class Clean(layers.Layer):
    """One of :data:`FUNCTIONS` as a layer."""

    def __init__(self, what, **kwargs):
        super().__init__(**kwargs)
        self.what = what

    def call(self, x):
        return FUNCTIONS[self.what](x)

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return {**super().get_config(), "what": self.what}


@keras.saving.register_keras_serializable("clean")
class Experts(layers.Layer):
    """Every token goes through the expert of its choice, and back to its place."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(2, shape[-1], shape[-1]), initializer="glorot_uniform", name="kernel")

    def call(self, x):
        tokens = ops.reshape(x, (-1, x.shape[-1]))
        chosen = ops.argmax(tokens[:, :2], axis=-1)
        order = ops.argsort(chosen)
        sorted_tokens = ops.take(tokens, order, axis=0)
        kernels = ops.take(self.kernel, ops.take(chosen, order, axis=0), axis=0)
        done = ops.einsum("nf,nfg->ng", sorted_tokens, kernels)
        return ops.reshape(ops.take(done, ops.argsort(order), axis=0), ops.shape(x))
