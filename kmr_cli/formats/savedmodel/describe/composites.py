"""Inputs that are parts of one ragged or sparse tensor: their rows aren't samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kmr_cli.formats.savedmodel.describe.graph import producer
from kmr_cli.formats.savedmodel.describe.type_specs import Declared, declared_parts

if TYPE_CHECKING:
    from kmr_cli.formats.savedmodel.describe.analysis import Analysis

_RAGGED = {"RaggedTensorToTensor": ("", "values", "", "row splits"), "RaggedTensorToVariant": ("row splits", "values")}
_SPARSE = {
    "SparseTensorDenseMatMul": ("indices", "values", "shape"),
    "SparseToDense": ("indices", "shape", "values"),
    "SparseReorder": ("indices", "values", "shape"),
    "SparseReshape": ("indices", "shape"),
}
"""Operations that take such a tensor in parts: what each of their inputs is; the last stands for those after it."""
_NAMES = {"values": "values", "row_splits": "row splits", "indices": "indices", "shape": "shape"}
_PASS_ON = frozenset({"Identity", "Cast", "Reshape", "ExpandDims", "Squeeze"})


def composites(analysis: Analysis) -> dict[str, tuple[str, str]]:
    """Input -> (``ragged`` or ``sparse``, what part it is)."""
    found = declared(analysis).parts
    for one in analysis.inputs:
        for kind, part in _parts(analysis, one.tensor):
            found[one.name] = kind, part
        _, dot, suffix = one.name.rpartition(".")
        part = _NAMES.get(suffix.rstrip("0123456789"), "")
        siblings = {other.name.rpartition(".")[2] for other in analysis.inputs if "." in other.name}
        if dot and part and siblings & {"row_splits", "indices"}:
            found[one.name] = ("ragged" if "row_splits" in siblings else "sparse"), part
    whole = {part for _, part in found.values()}
    return found if whole & {"row splits", "indices"} else {}


def declared(analysis: Analysis) -> Declared:
    """What the functions of the file say of the inputs."""
    source = analysis.source
    fed = {producer(info.name): name for name, info in source.signature.inputs.items() if info.name}
    return declared_parts(source.meta_graph, fed)


def _parts(analysis: Analysis, tensor: str) -> Iterator[tuple[str, str]]:
    pending, seen = [tensor], set()
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        for user in analysis.flow.users.get(producer(current), ()):
            node = analysis.graph.nodes[user]
            for kind, table in (("ragged", _RAGGED), ("sparse", _SPARSE)):
                roles = table.get(node.op, ())
                for place, entry in enumerate(node.data_inputs):
                    role = roles[min(place, len(roles) - 1)] if roles else ""
                    if entry == current and role:
                        yield kind, role
            if node.op in _PASS_ON:
                pending.append(f"{user}:0")
