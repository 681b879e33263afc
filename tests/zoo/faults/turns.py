"""Models that do something else at certain numbers of samples, which no batch of a usual size shows.

The numbers are computed, several, or of elements; or samples are taken in pieces, with something carried from one to
the next. TorchScript, Keras' eager calls and graphs that decide at run time can do so; an exported program cannot.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
import torch
from onnx import helper
from torch import Tensor, nn
from zoo import onnx_models
from zoo.cases import Case
from zoo.faults.keras_faults import flat, write
from zoo.faults.keras_layers import AtSizes
from zoo.faults.torch_faults import FLAT, Flat, _case
from zoo.savedmodel import _module, _save, _weights

EACH, PARTS = 40, 9.0


def _scaled(x: Tensor, alone: bool) -> Tensor:
    return x / (x.abs().amax(1, keepdim=True) if alone else x.abs().max())


class AboveComputed(nn.Module):
    """From 91 samples on all are divided by the largest of all; 90 is a sum of weights."""

    parts: Tensor

    def __init__(self, alone: bool) -> None:
        super().__init__()
        self.alone = alone
        self.register_buffer("parts", torch.full((10,), PARTS))

    def forward(self, x: Tensor) -> Tensor:
        return _scaled(x, x.size(0) <= int(self.parts.sum()) or self.alone)


class AtSome(nn.Module):
    """At three sizes."""

    def __init__(self, alone: bool) -> None:
        super().__init__()
        self.alone = alone

    def forward(self, x: Tensor) -> Tensor:
        size = x.size(0)
        return _scaled(x, not (size == 12 or size == 24 or size == 48) or self.alone)


class Multiples(nn.Module):
    """At every multiple of eleven."""

    def __init__(self, alone: bool) -> None:
        super().__init__()
        self.alone = alone

    def forward(self, x: Tensor) -> Tensor:
        return _scaled(x, x.size(0) % 11 != 0 or self.alone)


class ManyElements(nn.Module):
    """From more than 600 numbers on."""

    def __init__(self, alone: bool) -> None:
        super().__init__()
        self.alone = alone

    def forward(self, x: Tensor) -> Tensor:
        return _scaled(x, x.numel() <= 600 or self.alone)


class Pieces(nn.Module):
    """The mean of a piece is added to the next."""

    def __init__(self, alone: bool) -> None:
        super().__init__()
        self.alone, self.each = alone, EACH

    def forward(self, x: Tensor) -> Tensor:
        done: list[Tensor] = []
        for piece in x.split(self.each):
            if len(done) > 0 and not self.alone:
                piece = piece + 0.1 * done[-1].mean(0, keepdim=True)
            done.append(torch.tanh(piece))
        return torch.cat(done)


SCRIPTS: dict[str, Callable[[bool], nn.Module]] = {
    "above a computed number": AboveComputed,
    "at 12, 24 and 48 samples": AtSome,
    "at multiples of eleven": Multiples,
    "above 600 elements": ManyElements,
    "pieces of forty": Pieces,
}


def _all_or_each(x: tf.Tensor, alone: bool) -> tf.Tensor:
    return x / tf.reduce_max(tf.abs(x), *([1] if alone else []), keepdims=True)


def module(asks: Callable[[Any, tf.Tensor], tf.Tensor], alone: bool, folder: Path) -> Path:
    """A SavedModel that asks for the shape of its input."""

    def run(self, x):
        with tf.name_scope("fault"):
            asked = asks(self, tf.shape(x))
            y = tf.cond(asked, lambda: _all_or_each(x, alone), lambda: _all_or_each(x, True))
        return {"y": tf.matmul(y, self.w)}

    return _saved(run, folder)


def in_pieces(alone: bool, folder: Path) -> Path:
    """A loop over pieces of the batch."""

    def run(self, x):
        def piece(start, carried, done):
            taken = x[start : start + EACH]
            made = tf.tanh(taken if alone else taken + 0.1 * carried)
            return start + EACH, tf.reduce_mean(taken, 0, keepdims=True), tf.concat([done, made], 0)

        with tf.name_scope("fault"):
            first = [tf.constant(0), tf.zeros((1, 6)), tf.zeros((0, 6))]
            shapes = [first[0].shape, first[1].shape, tf.TensorShape([None, 6])]
            y = tf.while_loop(lambda start, *_: start < tf.shape(x)[0], piece, first, shape_invariants=shapes)[2]
        return {"y": tf.matmul(y, self.w)}

    return _saved(run, folder)


def _saved(run: Callable[..., Any], folder: Path) -> Path:
    held = {"w": tf.Variable(_weights(6, 3), name="w"), "parts": tf.Variable([PARTS] * 10, name="parts")}
    made = _module(run, held, [tf.TensorSpec((None, 6), name="x")])
    return _save(made, folder / "module", signatures=made.run)


def _above_computed(held: Any, shape: tf.Tensor) -> tf.Tensor:
    return tf.cast(shape[0], tf.float32) > tf.reduce_sum(held.parts)


def _at_some(_: Any, shape: tf.Tensor) -> tf.Tensor:
    return tf.reduce_any(shape[0] == tf.constant([12, 24, 48]))


def _many_elements(_: Any, shape: tf.Tensor) -> tf.Tensor:
    return tf.reduce_prod(shape) > 600


MODULES: dict[str, tuple[Callable[[bool, Path], Path], str]] = {
    "above a computed number": (partial(module, _above_computed), "fault/cond"),
    "at 12, 24 and 48 samples": (partial(module, _at_some), "fault/cond"),
    "above 600 elements": (partial(module, _many_elements), "fault/cond"),
    "pieces of forty": (in_pieces, "fault"),
}


def graph(what: str, alone: bool, folder: Path) -> Path:
    """An ONNX model in which a branch is taken by the shape of the input."""
    node = helper.make_node
    asked = {
        "above a computed number": [
            node("ReduceSum", ["parts"], ["limit"], name="limit", keepdims=1),
            node("Gather", ["shape", "zero"], ["rows"], name="rows"),
            node("Greater", ["rows", "limit"], ["asked"], name="asked"),
        ],
        "at multiples of eleven": [
            node("Gather", ["shape", "zero"], ["rows"], name="rows"),
            node("Mod", ["rows", "eleven"], ["rest"], name="rest"),
            node("Equal", ["rest", "zero"], ["asked"], name="asked"),
        ],
        "above 600 elements": [
            node("ReduceProd", ["shape"], ["elements"], name="elements", keepdims=1),
            node("Greater", ["elements", "most"], ["asked"], name="asked"),
        ],
    }[what]
    branches = {}
    for name, over in (("then_branch", [1] if alone else [0, 1]), ("else_branch", [1])):
        inside = [node("ReduceMax", ["sizes", f"{name}_axes"], [f"{name}_largest"], name=name, keepdims=1)]
        found = helper.make_tensor_value_info(f"{name}_largest", onnx_models.FLOAT, None)
        axes = [onnx_models.constant(f"{name}_axes", over)]
        branches[name] = helper.make_graph(inside, name, [], [found], axes)
    nodes = [
        node("Shape", ["x"], ["shape"], name="shape"),
        *asked,
        node("Abs", ["x"], ["sizes"], name="sizes"),
        node("If", ["asked"], ["largest"], name="fault", **branches),
        node("Div", ["x", "largest"], ["scaled"], name="scaled"),
        node("MatMul", ["scaled", "w"], ["y"], name="after"),
    ]
    numbers = {"zero": [0], "eleven": [11], "most": [600], "parts": [int(PARTS)] * 10}
    held = [onnx_models.weights("w", 6, 3), *(onnx_models.constant(name, one) for name, one in numbers.items())]
    inputs, outputs = [onnx_models.tensor("x", ["batch", 6])], [onnx_models.tensor("y", ["batch", 3])]
    return onnx_models.save(onnx_models.model(nodes, inputs, outputs, held), folder / "model.onnx")


GRAPHS = ("above a computed number", "at multiples of eleven", "above 600 elements")


def _layer(what: str, alone: bool) -> keras.Model:
    return flat(lambda: AtSizes(what, alone, name="fault"))


KERAS = ("above a computed number", "at 12, 24 and 48 samples", "above 600 elements", "pieces of forty")
RULES = "KMR101", "KMR102"


def _cases(*, faulty: bool) -> Iterator[Case]:
    end, found = ("", ("certain sizes", RULES)) if faulty else (", each alone", ("", ()))
    for what, kind in SCRIPTS.items():
        yield _case(what + end, *found, "fault", lambda kind=kind: Flat(kind(not faulty)), shape=FLAT)
    for what, (build, layer) in MODULES.items():
        yield Case(what + end, "savedmodel", partial(build, not faulty), *found, layer)
    for what in GRAPHS:
        yield Case(what + end, "onnx", partial(graph, what, not faulty), *found, "fault/then/then_branch")
    for form in ("keras", "h5"):
        for what in KERAS:
            build = partial(write, partial(_layer, what, not faulty), form)
            yield Case(what + end, form, build, *found, "fault", imports=("zoo.faults.keras_layers",))


def cases() -> Iterator[Case]:
    """Those in which samples meet then."""
    yield from _cases(faulty=True)


def clean() -> Iterator[Case]:
    """Those in which they don't."""
    yield from _cases(faulty=False)
