"""Functions that TensorFlow traces, as graphs of the proof, with the value of every tensor on data."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from zoo.operators import Array
from zoo.random_graphs import BATCH_SIZE, SMALLER

from kmr_cli.formats.savedmodel.describe import messages
from kmr_cli.formats.savedmodel.describe.graph import Graph
from kmr_cli.formats.savedmodel.operators.graph import Start
from kmr_cli.formats.savedmodel.operators.traced import traced
from kmr_cli.proof import graph as neutral


class Traced:
    """A traced function.

    Args:
        function: of tensors.
        shapes: of one sample, for every input; a bare dtype number 1 is real, 3 whole numbers below 10.
    """

    def __init__(self, function: Callable[..., Any], shapes: Mapping[str, tuple[tuple[int | None, ...], str]]) -> None:
        self._shapes = shapes
        specs = [tf.TensorSpec((None, *shape), dtype, name=name) for name, (shape, dtype) in shapes.items()]
        self.function = tf.function(function, autograph=False).get_concrete_function(*specs)
        concrete = self.function.graph
        self._graph_def = concrete.as_graph_def(add_shapes=True).SerializeToString()
        self._starts = [Start(one.name, tuple(one.shape), one.dtype.as_datatype_enum, label=one.op.name)
                        for one in concrete.inputs[: len(specs)]]  # fmt: skip
        self._outputs = [(f"out{number}", one.name) for number, one in enumerate(concrete.outputs)]
        self._session: Any = None

    def graph(self) -> neutral.Graph:
        """For the proof."""
        return traced(self._graph_def, self._starts, self._outputs)

    def data(self, batch: int, seed: int) -> dict[str, Array]:
        """A batch, by the names that the graph has for its inputs."""
        rng = np.random.default_rng(seed)
        found = {}
        for start, (shape, dtype) in zip(self._starts, self._shapes.values(), strict=True):
            full = (batch, *(4 if size is None else size for size in shape))
            drawn = rng.integers(0, 10, full) if dtype == "int32" else rng.standard_normal(full)
            found[start.tensor] = drawn.astype(dtype)
        return found

    def run(self, batch: Mapping[str, Array]) -> dict[str, Array]:
        """Every number and array outside of loops and branches, in a session that fuses nothing."""
        if self._session is None:
            self._start_session()
        fetched = self._session.run(self._fetches, batch)
        return dict(batch) | dict(zip(self._fetches, fetched, strict=True))

    def _start_session(self) -> None:
        meta_graph = messages.MetaGraphDef()
        meta_graph.graph_def.ParseFromString(self._graph_def)
        names = [f"^{node.name}" for node in meta_graph.graph_def.node]
        inlined = Graph(meta_graph, names, [one.tensor for one in self._starts], "test")
        graph_def = tf.compat.v1.GraphDef.FromString(inlined.new_graph_def(inlined.nodes).SerializeToString())
        graph = tf.Graph()
        with graph.as_default():
            tf.graph_util.import_graph_def(graph_def, name="")
        config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        self._session = tf.compat.v1.Session(graph=graph, config=config)
        self._fetches = [one.name for operation in graph.get_operations() for one in operation.outputs
                         if one.dtype not in (tf.resource, tf.variant, tf.string)]  # fmt: skip


_SHAPES: Sequence[tuple[int, ...]] = ((4,), (6,), (3, 4), (2, 6), (2, 3, 4), (1, 4), (7, 2))
_MOST = 5000
ERRORS = (tf.errors.InvalidArgumentError,)
"""Of graphs that run at some batch sizes only."""


class Drawn:
    """A random graph. What is tried and fails at one of two batch sizes is left out.

    Args:
        seed: of the draw.
        length: how many operations are tried.
    """

    def __init__(self, seed: int, length: int) -> None:
        self._draw = random.Random(seed)
        shape = self._draw.choice(_SHAPES)
        self._steps: list[tuple[Callable[..., Any], int, int, Any]] = []
        self._plan([tf.ones((size, *shape)) for size in (BATCH_SIZE, SMALLER)], length)
        self.traced = Traced(self._build, {"x": (shape, "float32")})

    def _plan(self, starts: Sequence[Any], length: int) -> None:
        draw = self._draw
        values = [[start] for start in starts]
        for _ in range(length):
            operation = draw.choice(_OPERATIONS)
            one = max(0, len(values[0]) - 1 - draw.randrange(4))
            other = draw.randrange(len(values[0]))
            state = draw.getstate()
            made = []
            for some in values:
                draw.setstate(state)
                try:
                    made.append(operation(draw, some[one], some[other], some[0]))
                except (ValueError, TypeError, IndexError, tf.errors.InvalidArgumentError):
                    break  # these shapes do not fit this operation
            if len(made) < len(values) or any(found is None for found in made):
                continue
            if len({len(found.shape) for found in made}) == 1 and np.prod(made[0].shape) <= _MOST and made[0].ndim <= 5:
                self._steps.append((operation, one, other, state))
                for some, found in zip(values, made, strict=True):
                    some.append(found)

    def _build(self, x: Any) -> Any:
        values = [x]
        for operation, one, other, state in self._steps:
            self._draw.setstate(state)
            try:
                made = operation(self._draw, values[one], values[other], x)
            except (ValueError, TypeError):  # with the number of samples left open
                made = None
            values.append(values[one] if made is None or made.shape.rank is None else made)
        return values[-2:]


def _axis(draw: random.Random, one: Any) -> int:
    return draw.randrange(max(one.shape.rank, 1))


def _merged(draw: random.Random, one: Any, _other: Any, _x: Any) -> Any:
    axis, shape = draw.randrange(one.shape.rank - 1), tf.shape(one)
    return tf.reshape(one, tf.concat([shape[:axis], [shape[axis] * shape[axis + 1]], shape[axis + 2 :]], 0))


def _parted(draw: random.Random, one: Any, _other: Any, _x: Any) -> Any:
    axis, shape, by = _axis(draw, one), tf.shape(one), draw.choice((2, 3))
    if one.shape[axis] is not None and one.shape[axis] % by:
        return None
    new = [by, shape[axis] // by] if draw.random() < 0.5 else [shape[axis] // by, by]
    if one.shape[axis] is None:
        return None
    return tf.reshape(one, tf.concat([shape[:axis], new, shape[axis + 1 :]], 0))


def _back(draw: random.Random, one: Any, _other: Any, x: Any) -> Any:
    if draw.random() < 0.5:
        return tf.reshape(one, tf.concat([[tf.shape(x)[0]], [-1]], 0))
    return tf.reshape(one, tf.shape(x)) if one.shape.num_elements() == x.shape.num_elements() else None


def _cut(draw: random.Random, one: Any, _other: Any, _x: Any) -> Any:
    axis = _axis(draw, one)
    part = draw.choice(
        [slice(0, 1), slice(1, None), slice(None, -1), slice(None, None, 2), slice(None, None, -1), 0, -1]
    )
    return one[(slice(None),) * axis + (part,)]


def _picked(draw: random.Random, one: Any, _other: Any, _x: Any) -> Any:
    axis = _axis(draw, one)
    places = draw.choice([tf.range(tf.shape(one)[axis]), tf.constant([0, 0]), tf.range(tf.shape(one)[axis])[::-1]])
    return tf.gather(one, places, axis=axis)


def _picked_in_each(_draw: random.Random, one: Any, _other: Any, _x: Any) -> Any:
    places = tf.cast(tf.argmax(one, -1), tf.int32) % tf.shape(one)[1]
    return tf.gather(one, places, batch_dims=1, axis=1) if one.shape.rank > 1 else None


def _padded(draw: random.Random, one: Any, _other: Any, _x: Any) -> Any:
    pads = [[0, 0] for _ in one.shape]
    pads[_axis(draw, one)] = [1, draw.randrange(2)]
    return tf.pad(one, pads)


def _tiled(draw: random.Random, one: Any, _other: Any, _x: Any) -> Any:
    times = [1] * one.shape.rank
    times[_axis(draw, one)] = 2
    return tf.tile(one, times)


def _einsum(draw: random.Random, one: Any, other: Any, _x: Any) -> Any:
    if one.shape.rank != 3:
        return None
    return tf.einsum(
        draw.choice(["abc,abd->acd", "abc,adc->abd", "abc,dbc->ad", "abc,abc->ab", "abc,abc->cb"]), one, other
    )


def _half(draw: random.Random, one: Any, _other: Any, _x: Any) -> Any:
    axis, shape = _axis(draw, one), tf.shape(one)
    return tf.slice(one, [0] * one.shape.rank, tf.concat([shape[:axis], [shape[axis] // 2], shape[axis + 1 :]], 0))


def _numbered(draw: random.Random, one: Any, _other: Any, _x: Any) -> Any:
    axis = _axis(draw, one)
    if axis == one.shape.rank - 1:
        return one + tf.cast(tf.range(tf.shape(one)[axis]), tf.float32)
    return one * tf.cast(tf.shape(one)[axis], tf.float32)


def _looped(draw: random.Random, one: Any, other: Any, _x: Any) -> Any:
    step = draw.choice([lambda h: tf.tanh(h + one), lambda h: h + tf.reduce_sum(one), lambda h: h * 0.5 + other])
    return tf.while_loop(lambda i, h: i < 3, lambda i, h: (i + 1, step(h)), (0, tf.zeros_like(one)))[1]


def _mapped(draw: random.Random, one: Any, other: Any, _x: Any) -> Any:
    step = draw.choice([
        lambda row: row * tf.reduce_sum(row),
        lambda row: row - tf.reduce_mean(one),
        lambda row: tf.cond(tf.reduce_sum(row) > 0, lambda: row * 2.0, lambda: tf.zeros_like(row)),
        lambda row: row + tf.while_loop(lambda i, h: i < 2, lambda i, h: (i + 1, h + row), (0, tf.zeros_like(row)))[1],
    ])  # fmt: skip
    if draw.random() < 0.2:
        pairs = (one, tf.range(tf.shape(one)[0]))
        return tf.map_fn(lambda pair: pair[0] * tf.cast(pair[1], tf.float32), pairs, fn_output_signature=tf.float32)
    return tf.map_fn(step, one)


def _scanned(draw: random.Random, one: Any, _other: Any, _x: Any) -> Any:
    turned = tf.transpose(one, [1, 0, *range(2, one.shape.rank)]) if draw.random() < 0.7 else one
    return tf.scan(lambda carried, row: carried * 0.5 + row, turned)


def _branched(_draw: random.Random, one: Any, _other: Any, x: Any) -> Any:
    return tf.cond(tf.shape(x)[0] > 6, lambda: one * 2.0, lambda: one - 1.0)


_OPERATIONS: Sequence[Callable[[random.Random, Any, Any, Any], Any]] = (
    lambda _, one, _o, _x: tf.tanh(one),
    lambda draw, one, other, _x: draw.choice([tf.add, tf.multiply, tf.maximum])(one, other),
    lambda draw, one, other, _x: draw.choice([tf.add, tf.subtract])(one, other),
    lambda draw, one, _o, _x: tf.transpose(one, draw.sample(range(one.shape.rank), one.shape.rank)),
    lambda draw, one, _o, _x: tf.transpose(one, draw.sample(range(one.shape.rank), one.shape.rank)),
    _merged, _merged, _parted, _back, _back, _cut, _cut, _picked, _picked_in_each, _padded, _tiled, _einsum, _half,
    _numbered, _looped, _mapped, _scanned, _branched,
    lambda draw, one, _o, _x: draw.choice([tf.reduce_sum, tf.reduce_max])(one, _axis(draw, one),
                                                                         keepdims=draw.random() < 0.5),
    lambda draw, one, _o, _x: tf.reduce_mean(one, _axis(draw, one)),
    lambda draw, one, _o, _x: tf.nn.softmax(one, axis=_axis(draw, one)),
    lambda draw, one, _o, _x: tf.cumsum(one, _axis(draw, one), reverse=draw.random() < 0.5),
    lambda draw, one, other, _x: tf.matmul(one, other, transpose_b=draw.random() < 0.5),
    lambda draw, one, _o, _x: tf.expand_dims(one, draw.randrange(one.shape.rank + 1)),
    lambda draw, one, other, _x: tf.concat([one, draw.choice([one, other])], _axis(draw, one)),
    lambda draw, one, _o, _x: tf.stack([one, one * 2.0], draw.randrange(one.shape.rank + 1)),
    lambda draw, one, _o, _x: tf.split(one, 2, _axis(draw, one))[draw.randrange(2)],
    lambda draw, one, _o, _x: tf.repeat(one, 2, _axis(draw, one)),
    lambda draw, one, _o, _x: tf.reverse(one, [_axis(draw, one)]),
    lambda draw, one, _o, _x: tf.one_hot(tf.argmax(one, _axis(draw, one)), 3, axis=draw.choice([-1, 0])),
    lambda _, one, _o, _x: tf.math.top_k(one, 1).values,
    lambda _, one, _o, _x: tf.where(one > 0, one, tf.zeros_like(one)),
    lambda _, one, _o, _x: tf.broadcast_to(one, tf.concat([[2], tf.shape(one)], 0)),
    lambda _, one, _o, _x: tf.nn.conv1d(one, tf.ones((2, one.shape[-1], 3)), 1, "SAME")
    if one.shape.rank == 3 else None,
    lambda _, one, _o, _x: tf.nn.max_pool1d(one, 2, 1, "SAME") if one.shape.rank == 3 else None,
    lambda _, one, _o, x: tf.zeros_like(one) + tf.cast(tf.shape(x)[0], tf.float32),
    lambda _, one, _o, _x: tf.linalg.band_part(one, -1, 0) if one.shape.rank > 1 else None,
)  # fmt: skip
