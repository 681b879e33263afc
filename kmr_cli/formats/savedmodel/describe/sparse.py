"""Sparse inputs: fed as one dense array with a row a sample, of which what isn't zero reaches the signature.

The signature takes such a tensor in three parts: where its values stand, the values, and the shape of the whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from kmr_cli.arrays.sparsity import present
from kmr_cli.formats.savedmodel.describe.analysis import Analysis
from kmr_cli.formats.savedmodel.describe.composites import composites, declared
from kmr_cli.formats.savedmodel.describe.variables import shape_of
from kmr_cli.records import Batch, Shape, TensorSpec

_INDICES = re.compile(r"[._/:-]?(indices|idx)$")


@dataclass(frozen=True)
class Sparse:
    """One such input.

    Attributes:
        name: outside of the signature.
        indices: of the places of the values in the signature, ``(values, rank)``.
        values: of the values, ``(values,)``.
        shape: of the dense shape, ``(rank,)``.
        dense: what is declared of it; None for an unknown rank.
    """

    name: str
    indices: str
    values: str
    shape: str
    dense: Shape | None


def sparse_inputs(analysis: Analysis) -> tuple[Sparse, ...]:
    """Those whose three parts are known; none where a part is left that nothing is known to belong to."""
    parts = {name: part for name, (kind, part) in composites(analysis).items() if kind == "sparse"}
    shapes = {one.name: one.shape for one in analysis.inputs}
    found: dict[str, Sparse] = {}
    left = dict(parts)
    for (indices, values, shape), dense in _groups(analysis, parts):
        if not {indices, values, shape} <= left.keys():
            continue
        name = _INDICES.sub("", indices) or indices
        if (name in shapes and name != indices) or name in found or not _fits(shapes, indices, values, shape):
            return ()
        rank = _rank(shapes, indices, shape)
        if dense is None or (rank is not None and len(dense) != rank):
            dense = None if rank is None else (None,) * rank
        if dense == ():
            return ()
        found[name] = Sparse(name, indices, values, shape, dense)
        for part in (indices, values, shape):
            del left[part]
    return () if left else tuple(found.values())


def _groups(analysis: Analysis, parts: Mapping[str, str]) -> Iterator[tuple[tuple[str, str, str], Shape | None]]:
    """The parts of one tensor as the file tells them, the surest first; with its declared shape."""
    for name, info in analysis.source.signature.inputs.items():
        group = (f"{name}.indices", f"{name}.values", f"{name}.shape")
        if group[0] in parts:
            yield group, shape_of(info.tensor_shape) if info.HasField("tensor_shape") else None
    yield from declared(analysis).sparse.items()
    one_each = [[name for name, part in parts.items() if part == wanted] for wanted in ("indices", "values", "shape")]
    if all(len(names) == 1 for names in one_each):
        (indices,), (values,), (shape,) = one_each
        yield (indices, values, shape), None
    for indices in one_each[0]:
        stem = _INDICES.search(indices)
        if stem is None:
            continue
        before, word = indices[: stem.start(1)], stem[1]
        for shape in (f"{before}shape", f"{before}dense_shape"):
            if shape in parts and word:
                yield (indices, f"{before}values", shape), None


def _fits(shapes: Mapping[str, Shape | None], indices: str, values: str, shape: str) -> bool:
    """Whether the parts may have the ranks that those of one tensor have."""
    wanted = ((indices, 2), (values, 1), (shape, 1))
    return all(known is None or len(known) == rank for name, rank in wanted for known in [shapes[name]])


def _rank(shapes: Mapping[str, Shape | None], indices: str, shape: str) -> int | None:
    """How many axes the whole has, where one of its parts tells."""
    for known in ((shapes[indices] or ())[1:], shapes[shape] or ()):
        if known and known[0] is not None:
            return known[0]
    return None


def sparse_spec(one: Sparse, specs: Mapping[str, TensorSpec]) -> TensorSpec:
    """The dense array, of what the signature declares of each of its inputs."""
    return replace(specs[one.values], name=one.name, shape=one.dense, sparse=True)


def sparse_parts(
    sparse: tuple[Sparse, ...], batch: Batch, types: Mapping[str, np.dtype[np.generic]]
) -> dict[str, np.ndarray]:
    """A batch with each sparse input as the signature takes it: places in row-major order.

    Args:
        sparse: the inputs to take apart.
        batch: what is fed.
        types: dtype of each input of the signature.
    """
    result = dict(batch)
    for one in sparse:
        array = result.pop(one.name)
        held = present(array)
        result[one.indices] = np.argwhere(held).astype(types[one.indices])
        result[one.values] = array[held]
        result[one.shape] = np.array(array.shape, types[one.shape])
    return result
