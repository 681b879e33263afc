"""Claims about the values of real ONNX files, held against what onnxruntime computes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from kmr_cli.proof.graph import Graph
from kmr_cli.proof.owners import Free, Own
from kmr_cli.proof.sizes import evaluate
from kmr_cli.proof.verdict import Proof

Array = np.ndarray
Batch = Mapping[str, Array]


def showing(path: Path, names: list[str]) -> Callable[[Batch], dict[str, Array]]:
    """Runs a file, and gives what these values of it hold; graph optimization is off."""
    model = onnx.load(path)
    known = {one.name for one in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda batch: dict(zip(names, session.run(names, dict(batch)), strict=True))


def violations(path: Path, graph: Graph, proof: Proof, data: Batch, tally: Counter[str]) -> Iterator[str]:
    """Claims that do not hold on a batch; ``data`` has twice as many rows as are used, the others replace them."""
    size = len(next(iter(data.values()))) // 2
    base = {name: array[:size] for name, array in data.items()}
    replaced = [{name: _with(base[name], data[name][size + one], one) for name in base} for one in range(size)]
    turned = {name: array[::-1] for name, array in base.items()}
    fewer = {name: array[: size - 1] for name, array in base.items()}
    in_the_file = {name for node in onnx.load(path).graph.node for name in node.output}  # members of sequences aren't
    judged = {
        name: owner
        for operator in graph.operators
        for name in operator.outputs
        if name in in_the_file and isinstance(owner := proof.owners.of[name], (Own, Free))
    }
    symbols = {one: 1 for shape in graph.values.values() for length in shape.shape or () for one in _names(length)}
    found = list(map(showing(path, list(judged)), [base, turned, fewer, *replaced]))
    first, backwards, less, changed = found[0], found[1], found[2], found[3:]
    for name, owner in judged.items():
        tally[type(owner).__name__] += 1
        value = first[name]
        inner = 1 if isinstance(owner, Free) else evaluate(owner.inner, symbols | {"batch": size})
        for sample, run in enumerate(changed):
            kept = np.ones(value.shape, bool)
            if isinstance(owner, Own):
                places = (np.arange(value.shape[owner.axis]) // inner) % size != sample
                kept = np.broadcast_to(places.reshape([-1] + [1] * (value.ndim - owner.axis - 1)), value.shape)
            if not np.array_equal(run[name][kept], value[kept], equal_nan=value.dtype.kind == "f"):
                yield f"{name}: {owner} changed with sample {sample}"
        if isinstance(owner, Own) and not owner.count and not owner.place and owner.pattern[1:] == (1, 1):
            if not _close(np.flip(backwards[name], owner.axis), value):
                yield f"{name}: {owner} depends on the place in the batch"
            if not _close(less[name], value.take(range(size - 1), owner.axis)):
                yield f"{name}: {owner} depends on the number of samples"


def _close(one: Array, other: Array) -> bool:
    if one.dtype.hasobject:
        return np.array_equal(one, other)
    return np.allclose(one, other, atol=1e-5, equal_nan=True)


def _names(length: object) -> set[str]:
    return {one.name for one in getattr(length, "symbols", ())}


def _with(array: Array, row: Array, place: int) -> Array:
    result = array.copy()
    result[place] = row
    return result
