"""Random ONNX files: operators that run at two batch sizes, one behind the other."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnxruntime.capi import onnxruntime_pybind11_state as errors
from zoo import onnx_claims

from kmr_cli.formats import onnx as onnx_format
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.proof.owners import Free, Own
from kmr_cli.proof.verdict import prove

Array = np.ndarray
SIZES = (6, 5)
"""Batch sizes at which every operator runs while a graph is drawn."""
ERRORS = (errors.Fail, errors.InvalidArgument, errors.InvalidGraph, errors.RuntimeException)
"""Of graphs that the evaluator takes and onnxruntime doesn't."""
_MOST = 3000
_OPSET = 20
_SHAPES: Sequence[tuple[int, ...]] = ((4,), (6,), (3, 4), (2, 6), (3, 4, 4), (2, 3, 4), (1, 4), (5, 2))


class Drawn:
    """A random graph. An operator that fails at one of two batch sizes is left out.

    Args:
        seed: of the draw.
        length: how many operators are tried.
    """

    def __init__(self, seed: int, length: int) -> None:
        self._draw, self._rng = random.Random(seed), np.random.default_rng(seed)
        self.shape = self._draw.choice(_SHAPES)
        self.nodes: list[Any] = []
        self._count = 0
        self._weights: dict[str, Array] = {}
        self._values = {"x": [self.rows(size, 0) for size in SIZES]}
        self._numbers = {"shape": [np.array(one[0].shape[:1]) for one in zip(self._values["x"], strict=True)]}
        self.nodes.append(helper.make_node("Shape", ["x"], ["shape"], end=1))
        for _ in range(length):
            self._try()

    def rows(self, count: int, first: int) -> Array:
        """So many samples, each the same whatever stands beside it."""
        rows = [np.random.default_rng([7, first + one]).standard_normal(self.shape) for one in range(count)]
        return np.stack(rows).astype(np.float32)

    def save(self, path: Path) -> list[str]:
        """Write the file; the names of its outputs."""
        outputs = list(self._values)[-2:]
        model = self._model(self.nodes, {"x": ("batch", *self.shape)}, outputs)
        onnx.save(model, path)
        return outputs

    def _model(self, nodes: Sequence[Any], inputs: Mapping[str, Sequence[Any]], outputs: Sequence[str]) -> Any:
        stored = [numpy_helper.from_array(array, name) for name, array in self._weights.items()]
        graph = helper.make_graph(
            list(nodes), "drawn",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs], stored,
        )  # fmt: skip
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=10)

    def _weight(self, array: Any) -> str:
        name = f"w{len(self._weights)}"
        self._weights[name] = np.asarray(array)
        return name

    def _real(self, *shape: int) -> str:
        return self._weight(self._rng.standard_normal(shape).astype(np.float32))

    def _whole(self, *numbers: int) -> str:
        return self._weight(np.array(numbers, np.int64))

    def _try(self) -> None:
        names = list(self._values)
        name, other = self._draw.choice(names[-5:]), self._draw.choice(names)
        before = len(self._weights)
        try:
            nodes = self._draw.choice(_OPERATORS)(self, name, other)
            made = self._run(nodes)
        except Exception:
            made = None
        if made is None:
            for one in list(self._weights)[before:]:
                del self._weights[one]
            return
        self.nodes += nodes
        self._values[nodes[-1].output[0]] = made

    def _run(self, nodes: Sequence[Any]) -> list[Array] | None:
        last = nodes[-1].output[0]
        model = self._model(nodes, {}, [last])
        del model.graph.input[:]
        taken = {one for node in nodes for one in node.input} - {one for node in nodes for one in node.output}
        known = self._values | self._numbers
        for one in sorted(taken & known.keys()):
            kind = TensorProto.INT64 if one == "shape" else TensorProto.FLOAT
            model.graph.input.append(helper.make_tensor_value_info(one, kind, None))
        evaluator = ReferenceEvaluator(model)
        with np.errstate(all="ignore"):
            found = [evaluator.run(None, {one: known[one][place] for one in taken & known.keys()})[0]
                     for place in range(len(SIZES))]  # fmt: skip
        fits = all(one.dtype == np.float32 and 0 < one.size <= _MOST and 0 < one.ndim <= 5 for one in found)
        return found if fits and found[0].ndim == found[1].ndim else None

    # -- operators

    def _node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> Any:
        self._count += 1
        return helper.make_node(kind, list(inputs), [f"v{self._count}"], **attributes)

    def one(self, kind: str, inputs: Sequence[str], **attributes: Any) -> list[Any]:
        """A single operator."""
        return [self._node(kind, inputs, **attributes)]

    def shape_of(self, name: str) -> tuple[int, ...]:
        """At the first batch size."""
        return tuple(self._values[name][0].shape)

    def axis(self, name: str) -> int:
        """One of its axes."""
        return self._draw.randrange(len(self.shape_of(name)))

    def reshaped(self, name: str, _other: str) -> list[Any]:
        """Into rows of samples, or with a number in the place of an axis."""
        shape = self.shape_of(name)
        if self._draw.random() < 0.5:
            rest = [self._whole(*self._draw.choice([(-1,), (-1, 2), (2, -1), (1, -1)]))]
            parts = ["shape", *rest] if self._draw.random() < 0.7 else [*rest, "shape"]
            target = self._node("Concat", parts, axis=0)
        else:
            axis = self._draw.randrange(len(shape))
            numbers = [0] * axis + [-1] + [0] * max(0, len(shape) - axis - 2)
            target = self._node("Identity", [self._whole(*numbers)])
        return [target, self._node("Reshape", [name, target.output[0]])]

    def parted(self, name: str, _other: str) -> list[Any]:
        """An axis in two."""
        shape, by = self.shape_of(name), self._draw.choice([2, 3])
        axis = self.axis(name)
        rest = [-1 if one else shape[axis] // by for one in [axis == 0]]
        numbers = [*([0] * axis), *([by, *rest] if self._draw.random() < 0.5 else [*rest, by]), *shape[axis + 1 :]]
        return self.one("Reshape", [name, self._whole(*numbers)])

    def cut(self, name: str, _other: str) -> list[Any]:
        """A stretch of an axis, or every other place, or all of it backwards."""
        start, end, step = self._draw.choice([(0, 1, 1), (1, 99, 1), (0, -1, 1), (0, 99, 2), (-1, -99, -1), (0, 2, 1)])
        return self.one("Slice", [name, *(self._whole(one) for one in (start, end, self.axis(name), step))])

    def picked(self, name: str, _other: str) -> list[Any]:
        """Places of an axis: fixed ones, or as many as there are samples."""
        if self._draw.random() < 0.6:
            numbers = self._draw.choice([(0,), (1, 0), (0, 0), (-1,), (0, 1)])
            return self.one("Gather", [name, self._whole(*numbers)], axis=self.axis(name))
        count = self._node("Squeeze", ["shape"])
        zero, step = (self._weight(np.array(one, np.int64)) for one in (0, 1))
        places = self._node("Range", [zero, count.output[0], step])
        return [count, places, self._node("Gather", [name, places.output[0]], axis=self.axis(name))]

    def by_content(self, name: str, other: str) -> list[Any]:
        """Places that another value names."""
        axis = self.axis(name)
        sign = self._node("Greater", [other, self._weight(np.float32(0))])
        index = self._node("Cast", [sign.output[0]], to=TensorProto.INT64)
        kind = self._draw.choice(["GatherElements", "ScatterElements", "Gather"])
        inputs = [name, index.output[0], *([other] if kind == "ScatterElements" else [])]
        return [sign, index, self._node(kind, inputs, axis=axis)]

    def counted(self, name: str, _other: str) -> list[Any]:
        """0, 1, 2 … added along the last axis, or along the first."""
        shape = self._node("Shape", [name])
        place = 0 if self._draw.random() < 0.5 else -1
        count = self._node("Gather", [shape.output[0], self._weight(np.array(place, np.int64))])
        zero, step = (self._weight(np.array(one, np.int64)) for one in (0, 1))
        places = self._node("Range", [zero, count.output[0], step])
        real = self._node("Cast", [places.output[0]], to=TensorProto.FLOAT)
        found = [shape, count, places, real]
        if place == 0 and len(self.shape_of(name)) > 1:
            axes = range(1, len(self.shape_of(name)))
            found.append(self._node("Unsqueeze", [real.output[0], self._whole(*axes)]))
        return [*found, self._node("Add", [name, found[-1].output[0]])]

    def convolved(self, name: str, _other: str) -> list[Any]:
        """A convolution along all axes after the first two."""
        shape = self.shape_of(name)
        weight = self._real(self._draw.choice([2, 4]), shape[1], *((2,) * (len(shape) - 2)))
        pads = self._draw.choice([0, 1])
        return self.one("Conv", [name, weight], pads=[pads] * (2 * (len(shape) - 2)))

    def pooled(self, name: str, _other: str) -> list[Any]:
        """The largest, or the mean, of windows."""
        kernel = [2] * (len(self.shape_of(name)) - 2)
        kind = self._draw.choice(["MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"])
        return self.one(kind, [name], **({} if kind.startswith("Global") else {"kernel_shape": kernel}))

    def normalised(self, name: str, _other: str) -> list[Any]:
        """By stored statistics, by those of every sample and channel, or of the last axis."""
        shape = self.shape_of(name)
        kind = self._draw.choice(["BatchNormalization", "InstanceNormalization", "LayerNormalization"])
        size = shape[-1] if kind == "LayerNormalization" else shape[1]
        scale = [self._weight(np.abs(self._rng.standard_normal(size)).astype(np.float32) + 0.5) for _ in range(2)]
        return self.one(kind, [name, *scale, *(scale if kind == "BatchNormalization" else [])])

    def recurrent(self, name: str, _other: str) -> list[Any]:
        """A recurrent layer over axis 0, samples on axis 1; perhaps turned before."""
        found: list[Any] = []
        if len(self.shape_of(name)) != 3:
            raise ValueError("its operand has another number of axes")
        if self._draw.random() < 0.6:
            found = self.one("Transpose", [name], perm=[1, 0, 2])
            name = found[0].output[0]
        features = self.shape_of(name)[-1] if not found else self.shape_of(found[0].input[0])[-1]
        kind, gates = self._draw.choice([("RNN", 1), ("GRU", 3), ("LSTM", 4)])
        weights = [self._real(1, gates * 3, features), self._real(1, gates * 3, 3)]
        layer = self._node(kind, [name, *weights], hidden_size=3)
        return [*found, layer, self._node("Squeeze", [layer.output[0], self._whole(1)])]

    def reduced(self, name: str, _other: str) -> list[Any]:
        """Along an axis."""
        kind = self._draw.choice(["ReduceSum", "ReduceMean", "ReduceMax", "ReduceL2"])
        return self.one(kind, [name, self._whole(self.axis(name))], keepdims=self._draw.randrange(2))

    def spread(self, name: str, _other: str) -> list[Any]:
        """Over axes of size 1, or over one that is put in front."""
        rest = self._whole(*(1 for _ in self.shape_of(name)))
        target = self._node("Concat", [self._draw.choice(["shape", self._whole(2)]), rest], axis=0)
        return [target, self._node("Expand", [name, target.output[0]])]

    def looped(self, name: str, other: str) -> list[Any]:
        """Three rounds that carry a value."""
        number = self._count = self._count + 1  # names are unique in a model, those of bodies too
        going, carried, after = (f"{one}{number}" for one in ("going", "carried", "after"))
        kind = self._draw.choice(["Add", "Mul"])
        body = helper.make_graph(
            [helper.make_node("Identity", [going], [f"still{number}"]),
             helper.make_node(kind, [carried, other], [f"sum{number}"]),
             helper.make_node("Tanh", [f"sum{number}"], [after])],
            "body",
            [helper.make_tensor_value_info(f"round{number}", TensorProto.INT64, []),
             helper.make_tensor_value_info(going, TensorProto.BOOL, []),
             helper.make_tensor_value_info(carried, TensorProto.FLOAT, None)],
            [helper.make_tensor_value_info(f"still{number}", TensorProto.BOOL, []),
             helper.make_tensor_value_info(after, TensorProto.FLOAT, None)],
        )  # fmt: skip
        rounds, start = self._weight(np.array(3, np.int64)), self._weight(np.array(True))
        known = self._node("Identity", [other])  # which shows the evaluator of this one operator what the body takes
        return [known, self._node("Loop", [rounds, start, name], body=body)]


@dataclass(frozen=True)
class Written:
    """A random graph as a file.

    Attributes:
        path: of it.
        kinds: its operators.
        rows: as many samples as the claims are held against.
    """

    path: Path
    kinds: frozenset[str]
    rows: Array

    def violations(self, tally: Counter[str]) -> Iterator[str]:
        """Claims that do not hold."""
        graph = onnx_format.graph(self.path, OpenOptions())
        proof = prove(graph)
        if any(isinstance(proof.owners.of.get(name), (Own, Free)) for one in graph.operators for name in one.outputs):
            yield from onnx_claims.violations(self.path, graph, proof, {"x": self.rows}, tally)


def written(seed: int, length: int, folder: Path) -> Written:
    """A random graph of so many tries, written into a folder."""
    drawn, path = Drawn(seed, length), folder / f"drawn{seed}.onnx"
    drawn.save(path)
    return Written(path, frozenset(node.op_type for node in drawn.nodes), drawn.rows(2 * SIZES[0], 0))


def _padded(drawn: Drawn, name: str, _other: str) -> list[Any]:
    rank, axis = len(drawn.shape_of(name)), drawn.axis(name)
    pads = [0] * (2 * rank)
    pads[axis], pads[rank + axis] = 1, drawn._draw.randrange(2)
    return drawn.one("Pad", [name, drawn._whole(*pads)])


def _turned(drawn: Drawn, name: str, _other: str) -> list[Any]:
    rank = len(drawn.shape_of(name))
    return drawn.one("Transpose", [name], perm=drawn._draw.sample(range(rank), rank))


def _tiled(drawn: Drawn, name: str, _other: str) -> list[Any]:
    return drawn.one("Tile", [name, drawn._whole(*(drawn._draw.choice([1, 1, 2]) for _ in drawn.shape_of(name)))])


def _top(drawn: Drawn, name: str, _other: str) -> list[Any]:
    found = drawn._node("TopK", [name, drawn._whole(1)], axis=drawn.axis(name))
    found.output.append(f"{found.output[0]}_places")
    return [found]


def _einsum(drawn: Drawn, name: str, other: str) -> list[Any]:
    equation = drawn._draw.choice(
        ["abc,abd->acd", "abc,adc->abd", "abc,dbc->ad", "abc,abc->cb", "ab,cb->ac", "ab,ab->a"]
    )
    return drawn.one("Einsum", [name, other], equation=equation)


def _chosen(drawn: Drawn, name: str, other: str) -> list[Any]:
    greater = drawn._node("Greater", [name, drawn._weight(np.float32(0))])
    return [greater, drawn._node("Where", [greater.output[0], name, other])]


def _along(kind: str) -> Callable[[Drawn, str, str], list[Any]]:
    return lambda drawn, name, _: drawn.one(kind, [name], axis=drawn.axis(name))


_OPERATORS: Sequence[Callable[[Drawn, str, str], list[Any]]] = (
    lambda drawn, name, _: drawn.one("Tanh", [name]),
    lambda drawn, name, other: drawn.one(drawn._draw.choice(["Add", "Mul", "Max"]), [name, other]),
    lambda drawn, name, other: drawn.one(drawn._draw.choice(["Sub", "Add"]), [name, other]),
    lambda drawn, name, other: drawn.one("MatMul", [name, other]),
    lambda drawn, name, _: drawn.one("MatMul", [name, drawn._real(drawn.shape_of(name)[-1], 4)]),
    lambda drawn, name, other: drawn.one("Gemm", [name, other], transB=drawn._draw.randrange(2))
    if len(drawn.shape_of(name)) == len(drawn.shape_of(other)) == 2 else [],
    lambda drawn, name, other: drawn.one("Concat", [name, other], axis=drawn.axis(name)),
    lambda drawn, name, _: drawn.one("Unsqueeze", [name, drawn._whole(drawn.axis(name))]),
    lambda drawn, name, _: drawn.one("Flatten", [name], axis=drawn.axis(name)),
    lambda drawn, name, _: drawn.one("CumSum", [name, drawn._weight(np.array(drawn.axis(name), np.int64))]),
    _along("Softmax"), _along("LogSoftmax"), _padded, _turned, _turned, _tiled, _top, _einsum, _chosen,
    Drawn.reshaped, Drawn.reshaped, Drawn.parted, Drawn.cut, Drawn.cut, Drawn.picked, Drawn.picked, Drawn.by_content,
    Drawn.counted, Drawn.convolved, Drawn.convolved, Drawn.pooled, Drawn.normalised, Drawn.recurrent, Drawn.recurrent,
    Drawn.reduced, Drawn.reduced, Drawn.spread, Drawn.looped,
)  # fmt: skip
