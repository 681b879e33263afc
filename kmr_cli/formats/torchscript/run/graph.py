"""The graph of a TorchScript module: its code, followed as an eager module's, exported for inputs of one shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kmr_cli.errors import ModelLoadError
from kmr_cli.formats.common.frameworks import first_line
from kmr_cli.formats.exported.exporting import exported_graph
from kmr_cli.formats.torchscript.describe.description import Description
from kmr_cli.formats.torchscript.describe.signature import build
from kmr_cli.formats.torchscript.run.instrument import Loaded
from kmr_cli.formats.torchscript.run.interpreted import interpreted
from kmr_cli.proof.graph import Graph, Operator

_HINT = "check it with passes (check-batch-axis), or export the model with torch.export and prove the .pt2 file"
_LAST_BITS = 1e-5
"""Of the largest value."""


def graph_of(loaded: Loaded, described: Description, tensors: Mapping[str, Any]) -> Graph:
    """The operators of a module, with the number of samples left open.

    The interpreted code must give the module's own values on this batch, up to last bits.

    Args:
        loaded: nothing was inserted into its graphs.
        described: what it takes.
        tensors: by input name, samples along axis 0.

    Raises:
        ModelLoadError: its code cannot be followed, or does something else at another number of samples.
    """
    import torch

    name = described.info.path
    if any(one.kind not in ("tensor", "default", "constant") for one in described.arguments):
        raise ModelLoadError(f"{name}: only a module that takes tensors is proven by its code", _HINT)
    positional, keywords = build(described.arguments, tensors)
    method = getattr(loaded.module, described.method)
    declared = method.schema.arguments[1 + len(positional) :]
    values = [*positional, *(keywords.get(one.name, one.default_value) for one in declared)]

    def eager() -> Any:
        return interpreted(loaded.module, loaded.functions, described.method)

    with torch.no_grad(), torch.jit.optimized_execution(False):
        try:
            mine, theirs = eager()(*_copied(values)), method(*_copied(values))
        except Exception as exc:
            raise ModelLoadError(f"{name}: its code cannot be followed: {first_line(exc)}", _HINT) from exc
    if not _equal(mine, theirs):
        raise ModelLoadError(f"{name}: its code, followed node by node, gives other values than it does", _HINT)
    found = exported_graph(eager, values, {}, name, rest="arguments")
    listed = frozenset(layer.path for layer in described.info.layers)
    return replace(found, operators=tuple(_in_listed(operator, listed) for operator in found.operators))


def _in_listed(operator: Operator, listed: frozenset[str]) -> Operator:
    """The operator in a layer of the file: what stands in the model's own code isn't one."""
    bodies = tuple(
        replace(body, operators=tuple(_in_listed(one, listed) for one in body.operators)) for body in operator.graphs
    )
    return replace(operator, layer=operator.layer if operator.layer in listed else "", graphs=bodies)


def _copied(values: list[Any]) -> list[Any]:
    return [value.clone() if hasattr(value, "clone") else value for value in values]


def _equal(mine: Any, theirs: Any) -> bool:
    import torch
    from torch.utils._pytree import tree_leaves

    left, right = ([one for one in tree_leaves(value) if isinstance(one, torch.Tensor)] for value in (mine, theirs))
    pairs = list(zip(left, right, strict=False))
    return len(left) == len(right) and all(one.dtype == other.dtype and _close(one, other) for one, other in pairs)


def _close(one: Any, other: Any) -> bool:
    """The same but for last bits, which kernels round as a tensor lies in memory."""
    import torch

    if one.shape != other.shape or not one.is_floating_point():
        return bool(one.shape == other.shape and one.equal(other))
    scale = float(other[other.isfinite()].abs().max()) if other.isfinite().any() else 0.0
    return bool(torch.allclose(one, other, rtol=0.0, atol=_LAST_BITS * scale, equal_nan=True))
