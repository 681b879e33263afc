"""Everything that the file tells about one signature, worked out once and kept for the next question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.formats.savedmodel.describe import dtypes, flow, limits, reader, scopes
from kmr_cli.formats.savedmodel.describe.flow import Flow
from kmr_cli.formats.savedmodel.describe.graph import Graph, producer, with_index
from kmr_cli.formats.savedmodel.describe.reader import Source
from kmr_cli.formats.savedmodel.describe.scopes import ScopeLayer
from kmr_cli.formats.savedmodel.describe.variables import Variable, find, shape_of
from kmr_cli.records import Presumable, Shape, TensorSpec

_SPARSE, _RAGGED = 1, 3
"""TypeSpecProto.TypeSpecClass."""


@dataclass(frozen=True)
class Tensor:
    """One array that goes into, or comes out of, a signature.

    Attributes:
        name: the signature's name for it; parts of a composite tensor end in ``.values`` and the like.
        tensor: in the inlined graph.
        shape: or None where the rank is not known.
        dtype: TensorFlow's number.
    """

    name: str
    tensor: str
    shape: Shape | None
    dtype: int


@dataclass(frozen=True)
class Analysis:
    """One signature, understood."""

    source: Source
    graph: Graph
    flow: Flow
    variables: Mapping[str, Variable]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    layers: tuple[ScopeLayer, ...]
    root: str = ""

    def shape(self, tensor: str) -> Shape | None:
        """The static shape of a tensor, where the file keeps it."""
        name, _, index = tensor.partition(":")
        node = self.graph.nodes[name]
        kept = node.attr("_output_shapes")
        if kept is not None and int(index) < len(kept.list.shape):
            return shape_of(kept.list.shape[int(index)])
        if node.op.startswith("Placeholder") and (shape := node.attr("shape")) is not None:
            return shape_of(shape.shape)
        return None

    def specs(self) -> tuple[TensorSpec, ...]:
        """What the signature wants."""
        return tuple(self._spec(one) for one in self.inputs)

    def _spec(self, one: Tensor) -> TensorSpec:
        dtype = dtypes.name(one.dtype)
        use = limits.use(self.graph, self.flow, self.variables, one.tensor, dtype)
        presumed: tuple[Presumable, ...] = ("limit",) if use.partial and use.rows is not None else ()
        return TensorSpec(one.name, one.shape, dtype, use.rows, presumed=presumed, whole=use.whole)


def analyse(path: Path, options: OpenOptions) -> Analysis:
    """Read the file and understand its chosen signature; the last few results are kept while the file is unchanged.

    Raises:
        ModelFileError: the file is damaged, or holds no such signature or tag set.
    """
    file = path / reader.GRAPH_FILE
    try:
        status = file.stat()
        stamp = (status.st_mtime_ns, status.st_size)
    except OSError:
        stamp = (0, 0)
    return _analyse(path, stamp, options.signature, options.tags)


@lru_cache(maxsize=4)
def _analyse(path: Path, _stamp: tuple[int, int], signature_name: str | None, tags: tuple[str, ...] | None) -> Analysis:
    source = reader.read(path, signature_name, tags)
    wanted_inputs = _tensors(source, source.signature.inputs)
    wanted_outputs = _tensors(source, source.signature.outputs)
    roots = [one.tensor for one in (*wanted_outputs, *wanted_inputs)]
    feeds = [one.tensor for one in wanted_inputs]
    graph = Graph(source.meta_graph, roots, feeds, path.name)
    tpu = sorted({node.op for node in graph.nodes.values() if node.op.startswith("TPU")})
    if tpu:
        raise ModelFileError(
            f"{path.name}: the signature {source.signature_name!r} runs on a TPU only (it calls {tpu[0]})",
            "choose a meta graph for CPUs (--tag serve), or export the model again without the TPU rewrite",
        )
    inputs = tuple(_fed(graph, one) for one in wanted_inputs)
    outputs = tuple(Tensor(one.name, graph.resolve(one.tensor), one.shape, one.dtype) for one in wanted_outputs)
    ends = [one.tensor for one in outputs]
    traced = flow.trace(graph, [one.tensor for one in inputs], ends)
    found = find(graph, traced.order, source.meta_graph)
    starts = [one.tensor for one in inputs]
    layers, root = scopes.find_layers(graph, traced, found, starts, ends, path, source.meta_graph.object_graph_def)
    return Analysis(source, graph, traced, found, inputs, outputs, tuple(layers), root)


def _tensors(source: Source, infos: Any) -> list[Tensor]:
    """The signature's tensors by name, in the order of their names (a protobuf map has none of its own)."""
    found = []
    for name in sorted(infos):
        info = infos[name]
        # Some TF1 builders write names and dtypes only: then nothing is said of the shape.
        shape = shape_of(info.tensor_shape) if info.HasField("tensor_shape") else None
        kind = info.WhichOneof("encoding") if _has_encoding(info) else _encoding(info)
        if kind == "coo_sparse":
            sparse = info.coo_sparse
            rank = len(shape) if shape is not None else None
            found += [
                Tensor(f"{name}.indices", with_index(sparse.indices_tensor_name), (None, rank), 9),
                Tensor(f"{name}.values", with_index(sparse.values_tensor_name), (None,), info.dtype),
                Tensor(f"{name}.shape", with_index(sparse.dense_shape_tensor_name), (rank,), 9),
            ]
        elif kind == "composite_tensor":
            parts = info.composite_tensor.components
            for part, component in zip(_part_names(info.composite_tensor, len(parts)), parts, strict=True):
                found.append(
                    Tensor(
                        f"{name}.{part}",
                        with_index(component.name),
                        shape_of(component.tensor_shape),
                        component.dtype,
                    )
                )
        elif not info.name:
            raise ModelFileError(
                f"{source.path.name}: the signature {source.signature_name!r} names no tensor for {name!r}",
                "copy or save the model again",
            )
        else:
            found.append(Tensor(name, with_index(info.name), shape, info.dtype))
    return found


def _has_encoding(info: Any) -> bool:
    return any(oneof.name == "encoding" for oneof in info.DESCRIPTOR.oneofs)


def _encoding(info: Any) -> str:
    if info.HasField("coo_sparse"):
        return "coo_sparse"
    return "composite_tensor" if info.HasField("composite_tensor") else "name"


def _part_names(composite: Any, count: int) -> list[str]:
    kind = composite.type_spec.type_spec_class
    if kind == _SPARSE and count == 3:
        return ["indices", "values", "shape"]
    if kind == _RAGGED:
        return ["values", *("row_splits" if level == 0 else f"row_splits{level}" for level in range(count - 1))]
    return [str(index) for index in range(count)]


def _fed(graph: Graph, one: Tensor) -> Tensor:
    """An input as its placeholder declares it: what the signature says about dtype and shape may be wrong."""
    tensor = graph.resolve(one.tensor)
    node = graph.nodes[producer(tensor)]
    dtype = graph.dtype(tensor) or one.dtype
    attr = node.attr("shape")
    shape = shape_of(attr.shape) if attr is not None else None
    if shape is None or (attr is not None and not shape and _may_be_anything(graph, node.name)):
        shape = one.shape
    return Tensor(one.name, tensor, shape, dtype)


def _may_be_anything(graph: Graph, name: str) -> bool:
    """Before TensorFlow 1.? an unset shape attribute was written as an empty one, which also means a scalar."""
    kept = graph.nodes[name].attr("_output_shapes")
    return kept is None or not kept.list.shape or kept.list.shape[0].unknown_rank
