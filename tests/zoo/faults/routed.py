"""Mixtures of experts inside one layer: rows are picked, computed in groups and put back where no tap is.

How many rows a group has depends on all samples, and a kernel sums in another order for another number of them: the
last bits of one sample differ with what the others hold. That isn't a leak; a mean over the rows beside it is one.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import keras
import tensorflow as tf
import torch
from keras import layers
from torch import Tensor, nn
from torch.nn import functional
from zoo.cases import Case
from zoo.faults.keras_faults import write
from zoo.faults.torch_faults import _case
from zoo.savedmodel import _module, _save, _weights

IMPORTS = ("zoo.faults.routed",)
EXPERTS, WIDTH, STEPS = 4, 32, 7
SHAPE = (STEPS, 16)
LEAK = 1e-3
"""Of the mean of all rows: what a faulty layer adds to each."""


class Experts(nn.Module):
    """Every row goes through the expert that it scores highest, and comes back to its place."""

    def __init__(self, how: str, leak: float) -> None:
        super().__init__()
        self.how, self.leak, self.experts = how, leak, EXPERTS
        self.gate = nn.Parameter(torch.randn(WIDTH, EXPERTS))
        self.up = nn.Parameter(torch.randn(EXPERTS, WIDTH, 2 * WIDTH) / WIDTH**0.5)
        self.down = nn.Parameter(torch.randn(EXPERTS, 2 * WIDTH, WIDTH) / WIDTH**0.5)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.size(2))
        chosen = rows.matmul(self.gate).argmax(1)
        done = torch.zeros_like(rows)
        if self.how == "ranges of sorted rows":
            order = torch.argsort(chosen)
            sorted_rows, counts = rows[order], torch.bincount(chosen, minlength=self.experts)
            start = 0
            parts: list[Tensor] = []
            for number in range(self.experts):
                end = start + int(counts[number])
                parts.append(self.expert(sorted_rows[start:end], number))
                start = end
            done = torch.cat(parts)[torch.argsort(order)]
        elif self.how == "places of each expert":
            for number in range(self.experts):
                places = torch.where(chosen == number)[0]
                done = done.index_add(0, places, self.expert(rows[places], number))
        else:
            for number in range(self.experts):
                mine = chosen == number
                done[mine] = self.expert(rows[mine], number)
        done = done + self.leak * done.mean(0, keepdim=True) if self.leak > 0 else done
        return x + done.view(x.shape)

    def expert(self, rows: Tensor, number: int) -> Tensor:
        return functional.silu(rows.matmul(self.up[number])).matmul(self.down[number])


class Grouped(Experts):
    """What transformers' exports do: one product of sorted rows with the matrices of all experts."""

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.size(2))
        chosen = rows.matmul(self.gate).argmax(1)
        order = torch.argsort(chosen)
        counts = torch.histc(chosen.float(), bins=self.experts, min=0, max=self.experts - 1)
        ends = counts.cumsum(0).to(torch.int32)
        done = torch._grouped_mm(rows[order], self.up, offs=ends)
        done = torch._grouped_mm(functional.silu(done), self.down, offs=ends)[torch.argsort(order)]
        done = done + self.leak * done.mean(0, keepdim=True) if self.leak > 0 else done
        return x + done.view(x.shape)


class Sequence(nn.Module):
    """Steps to one answer a sample, through a layer of experts."""

    def __init__(self, fault: nn.Module) -> None:
        super().__init__()
        self.before, self.fault, self.after = nn.Linear(SHAPE[1], WIDTH), fault, nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.fault(self.before(x)).mean(1))


def routed(rows: tf.Tensor, how: str, gate: tf.Tensor, up: tf.Tensor, down: tf.Tensor, leak: float) -> tf.Tensor:
    """What a layer of experts makes of rows, in TensorFlow."""
    chosen = tf.argmax(rows @ gate, -1, output_type=tf.int32)
    done = tf.zeros_like(rows)
    if how == "partitions":
        places = tf.dynamic_partition(tf.range(tf.shape(rows)[0]), chosen, EXPERTS)
        parts = tf.dynamic_partition(rows, chosen, EXPERTS)
        made = [tf.nn.silu(part @ up[number]) @ down[number] for number, part in enumerate(parts)]
        done = tf.reshape(tf.dynamic_stitch(places, made), tf.shape(rows))
    elif how == "ranges of sorted rows":
        order = tf.argsort(chosen, stable=True)
        counts = tf.ensure_shape(tf.math.bincount(chosen, minlength=EXPERTS, maxlength=EXPERTS), (EXPERTS,))
        parts = tf.split(tf.gather(rows, order), counts, num=EXPERTS)
        made = [tf.nn.silu(part @ up[number]) @ down[number] for number, part in enumerate(parts)]
        done = tf.gather(tf.concat(made, 0), tf.argsort(order))
    else:
        for number in range(EXPERTS):
            places = tf.where(chosen == number)
            made = tf.nn.silu(tf.gather_nd(rows, places) @ up[number]) @ down[number]
            done = tf.tensor_scatter_nd_add(done, places, made)
    return done + leak * tf.reduce_mean(done, 0, keepdims=True) if leak else done


@keras.saving.register_keras_serializable("routed")
class KerasExperts(layers.Layer):
    """The same as a layer of Keras' on TensorFlow."""

    def __init__(self, how, leak, **options):
        super().__init__(**options)
        self.how, self.leak = how, leak

    def get_config(self):
        return {**super().get_config(), "how": self.how, "leak": self.leak}

    def build(self, shape):
        sizes = {"gate": (WIDTH, EXPERTS), "up": (EXPERTS, WIDTH, 2 * WIDTH), "down": (EXPERTS, 2 * WIDTH, WIDTH)}
        for name, size in sizes.items():
            setattr(self, name, self.add_weight(shape=size, name=name, initializer="glorot_normal"))

    def call(self, x):
        rows = tf.reshape(x, (-1, WIDTH))
        done = routed(rows, self.how, *map(tf.convert_to_tensor, (self.gate, self.up, self.down)), self.leak)
        return x + tf.reshape(done, tf.shape(x))


def keras_model(how: str, leak: float) -> keras.Model:
    """Steps to one answer a sample."""
    x = keras.Input(SHAPE, name="x")
    y = KerasExperts(how, leak, name="fault")(layers.Dense(WIDTH, name="before")(x))
    return keras.Model(x, layers.Dense(3, name="after")(layers.GlobalAveragePooling1D(name="pool")(y)))


def module(how: str, leak: float, folder: Path) -> Path:
    """Such a model without Keras, the layer in a name scope."""
    held = {
        "gate": tf.Variable(_weights(WIDTH, EXPERTS), name="gate"),
        "up": tf.Variable(_weights(EXPERTS, WIDTH, 2 * WIDTH) / WIDTH**0.5, name="up"),
        "down": tf.Variable(_weights(EXPERTS, 2 * WIDTH, WIDTH, seed=4) / WIDTH**0.5, name="down"),
    }

    def run(self, x):
        with tf.name_scope("fault"):
            done = routed(tf.reshape(x, (-1, WIDTH)), how, self.gate, self.up, self.down, leak)
            y = x + tf.reshape(done, tf.shape(x))
        return {"y": tf.reduce_mean(y, 1)}

    made = _module(run, held, [tf.TensorSpec((None, STEPS, WIDTH), name="x")])
    return _save(made, folder / "module", signatures=made.run)


SCRIPTS = ("ranges of sorted rows", "places of each expert", "masks of rows")
TENSORFLOW = ("partitions", "ranges of sorted rows", "places of each expert")


def _torch(kind: Callable[[str, float], nn.Module], how: str, leak: float) -> nn.Module:
    return Sequence(kind(how, leak))


def _cases(leak: float) -> Iterator[Case]:
    name, found = ("experts and a mean", ("experts", ("KMR101",))) if leak else ("experts", ("", ()))
    for how in SCRIPTS:
        make = partial(_torch, Experts, how, leak)
        yield _case(f"{name}, {how}", *found, "fault", make, shape=SHAPE)
        if how != "ranges of sorted rows":  # tracing would fix how many rows each has
            yield _case(f"{name}, {how}, traced", *found, "fault", make, "trace", shape=SHAPE)
    if hasattr(torch, "_grouped_mm"):
        make = partial(_torch, Grouped, "groups", leak)
        yield _case(f"{name}, groups, traced", *found, "fault", make, "trace", shape=SHAPE)
    for how in TENSORFLOW:
        if not leak or how != "ranges of sorted rows":  # a scope of tf.argsort's own is a layer, which does mix them
            yield Case(f"{name}, {how}", "savedmodel", partial(module, how, leak), *found, "fault")
        build = partial(write, partial(keras_model, how, leak), "keras")
        yield Case(f"{name}, {how}", "keras", build, *found, "fault", imports=IMPORTS)


def cases() -> Iterator[Case]:
    """Those in which all rows meet besides."""
    yield from _cases(LEAK)


def clean() -> Iterator[Case]:
    """Those in which they don't."""
    yield from _cases(0.0)
