"""The variables that a signature reads: their names, sizes, places in the checkpoint and readers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kmr_cli.formats.savedmodel.describe import dtypes
from kmr_cli.formats.savedmodel.describe.graph import CALLS, Graph, producer
from kmr_cli.records import Shape

HANDLES = frozenset({"VarHandleOp", "VariableV2", "Variable"})


@dataclass(frozen=True)
class Variable:
    """One variable.

    Attributes:
        handle: the node that stands for it in the graph.
        name: what the model's author calls it, ``cnn/conv1/kernel``.
        shape: or None where the file does not say.
        dtype: NumPy's name, or None.
    """

    handle: str
    name: str
    shape: Shape | None
    dtype: str | None

    @property
    def size(self) -> int | None:
        """Scalars in it, or None where its shape is not known."""
        if self.shape is None or any(dim is None for dim in self.shape):
            return None
        return math.prod(dim for dim in self.shape if dim is not None)


def shape_of(message: Any | None) -> Shape | None:
    """A TensorShapeProto as a tuple, None for an unknown rank."""
    if message is None or message.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else int(dim.size) for dim in message.dim)


def bound_objects(meta_graph: Any) -> dict[str, int]:
    """Node of a captured resource (variable, table, asset) -> its number in the object graph.

    A restored function's last arguments are its captures, in the order of ``bound_inputs``.
    """
    concrete = meta_graph.object_graph_def.concrete_functions
    found: dict[str, int] = {}
    if not concrete:
        return found
    for node in meta_graph.graph_def.node:
        function = node.attr["f"].func.name if node.op in CALLS else node.op
        if function not in concrete:
            continue
        captures = list(concrete[function].bound_inputs)
        inputs = [producer(entry) for entry in node.input if not entry.startswith("^")]
        if captures:
            found.update(zip(inputs[-len(captures) :], captures, strict=False))
    return found


def find(graph: Graph, needed: Iterable[str], meta_graph: Any) -> dict[str, Variable]:
    """The variables among the needed nodes, by handle."""
    objects = bound_objects(meta_graph)
    saved = meta_graph.object_graph_def.nodes
    found = {}
    for name in needed:
        node = graph.nodes[name]
        if node.op not in HANDLES:
            continue
        number = objects.get(name)
        title = saved[number].variable.name if number is not None and number < len(saved) else ""
        for key in ("debug_name", "shared_name"):
            attr = node.attr(key)
            if not title and attr is not None and attr.s:
                title = attr.s.decode(errors="replace")
        shape, dtype = node.attr("shape"), node.attr("dtype")
        found[name] = Variable(
            handle=name,
            name=title or name,
            shape=shape_of(shape.shape) if shape is not None else None,
            dtype=dtypes.name(dtype.type) if dtype is not None else None,
        )
    return found
