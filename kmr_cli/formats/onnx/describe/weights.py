"""The parameters of a model: how many each value stands for, and which of them a node works with."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.onnx.describe import types
from kmr_cli.formats.onnx.describe.flow import Flow, Node

_QUANTIZED = frozenset({2, 3, 21, 22, 25, 26})
"""uint8, int8 and what is smaller."""
_TENSOR_ATTRIBUTES = frozenset({"value", "sparse_value"})


@dataclass(frozen=True)
class Weight:
    """One constant tensor.

    Attributes:
        name: of the value.
        shape: its dimensions.
        dtype: its number.
    """

    name: str
    shape: tuple[int, ...]
    dtype: int

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.shape)

    @property
    def dtype_name(self) -> str | None:
        """NumPy's name of its dtype."""
        return types.dtype_name(self.dtype)

    @property
    def is_parameter(self) -> bool:
        """Whether it was learned, as far as dtype and rank tell: indices, axes and single constants were not."""
        return bool(self.shape) and self.dtype in types.FLOATS | _QUANTIZED


class Weights:
    """The constant tensors of a graph.

    Args:
        graph: the inlined graph, or one inside it.
        around: those of the graph around it.

    Raises:
        ModelFileError: one has an impossible size.
    """

    def __init__(self, graph: Flow, around: Weights | None = None) -> None:
        self._graph, self._around = graph, around
        self._known: dict[str, Weight] = {} if around is None else dict(around._known)
        self._behind: dict[str, frozenset[str]] = {}
        for name in self._new(graph.initializers):
            message = graph.initializers[name]
            self._add(name, message.dims, message.data_type)
        for name in self._new(graph.sparse):
            message = graph.sparse[name]
            self._add(name, message.dims, message.values.data_type)
        for node in graph.nodes:
            if node.op == "Constant" and not node.domain:
                for attribute in node.message.attribute:
                    if attribute.name in _TENSOR_ATTRIBUTES and attribute.HasField("t"):
                        self._add(node.outputs[0], attribute.t.dims, attribute.t.data_type)

    def _new(self, names: Mapping[str, object]) -> Collection[str]:
        """Those that the graph around it does not have."""
        return names if self._around is None else sorted(names.keys() - self._known.keys())

    def __getitem__(self, name: str) -> Weight:
        return self._known[name]

    def __iter__(self) -> Iterator[Weight]:
        return iter(self._known.values())

    def get(self, name: str) -> Weight | None:
        """The constant tensor of this name, if it is one."""
        return self._known.get(name)

    def _add(self, name: str, dims: Iterable[int], dtype: int) -> None:
        shape = tuple(dims)
        if any(size < 0 for size in shape):
            raise ModelFileError(
                f"{self._graph.path.name}: the weight {name!r} has the impossible shape {shape}",
                "copy or export the model again",
            )
        self._known[name] = Weight(name, shape, dtype)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """All that the outputs need."""
        found: dict[str, None] = {}
        for node in self._graph.nodes:
            if node.op == "Constant":
                found.update(dict.fromkeys(name for name in node.outputs if self._is_parameter(name)))
            found.update(dict.fromkeys(name for name in node.reads if self._is_parameter(name)))
        return tuple(found)

    def of(self, node: Node) -> frozenset[str]:
        """Parameters that a node reads, directly or through nodes that no input reaches (a transposition, a cast)."""
        found: set[str] = set()
        for name in node.reads:
            if name not in self._graph.live:
                found |= self._sources(name)
        return frozenset(found)

    def sum(self, names: Iterable[str]) -> int:
        """Scalars in these weights."""
        return sum(self._known[name].size for name in names)

    def _sources(self, name: str) -> frozenset[str]:
        stack = [name]
        while stack:
            one = stack[-1]
            node = self._graph.maker.get(one)
            if one in self._behind:
                stack.pop()
            elif node is None and one not in self._known and self._around is not None:
                self._behind[one] = self._around._sources(one)
            elif node is None or one in self._known:
                self._behind[one] = frozenset({one}) if self._is_parameter(one) else frozenset()
            else:
                ahead = [read for read in node.reads if read not in self._graph.live]
                waiting = [read for read in ahead if read not in self._behind]
                stack += waiting
                if not waiting:
                    self._behind[one] = frozenset().union(*(self._behind[read] for read in ahead))
        return self._behind[name]

    def _is_parameter(self, name: str) -> bool:
        weight = self._known.get(name)
        return weight is not None and weight.is_parameter
