"""What the numbers of an input are used for: indices of tables, classes, and floats that become integers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kmr_cli.formats.exported.describe.program import Node, Program, Ref

_KEEPING = """
    to _to_copy view reshape flatten unflatten transpose permute contiguous clone unsqueeze squeeze expand alias detach
    long int t lift_fresh_copy view_as expand_as
"""
_KEEP_VALUES = frozenset(_KEEPING.split())
_PICK_VALUES = frozenset(["slice", "select", "narrow"])
_INTEGERS, _FLOATS = ("int", "uint"), ("float", "bfloat")


class Use(NamedTuple):
    """What an input's numbers are used for.

    Attributes:
        rows: of the smallest table that they are indices into (or classes they are spread over), or None.
        partial: some of them may be indices of another table, or none at all.
        whole: they are floats that are cast to integers.
    """

    rows: int | None = None
    partial: bool = False
    whole: bool = False


UNUSED = Use()


def uses(program: Program) -> dict[str, Use]:
    """Value -> what its numbers are used for, where they are indices or cast to integers."""
    makers = {name: node for node in program.graph.nodes for name in node.makes}
    found: dict[str, Use] = {}
    for node in program.graph.nodes:
        limit = _rows(program, node)
        if limit is None:
            continue
        table = "embedding" in node.target
        name, partial = _origin(makers, _argument(node, 1 if table else 0, "indices" if table else "self"))
        if name is None:
            continue
        known = found.get(name, Use(partial=True))
        if known.rows is None or (known.partial and not partial):
            found[name] = Use(limit, partial)
        elif known.partial == partial:
            found[name] = known._replace(rows=min(limit, known.rows))
    for node in program.graph.nodes:
        if _operation(node) in _KEEP_VALUES and any(_is(program, made, _INTEGERS) for made in node.makes):
            name, _ = _origin(makers, _argument(node, 0, "self"))
            if name is not None and _is(program, name, _FLOATS):
                found[name] = found.get(name, Use())._replace(whole=True)
    return found


def _is(program: Program, name: str, kinds: tuple[str, ...]) -> bool:
    meta = program.graph.tensors.get(name)
    return meta is not None and meta.dtype is not None and meta.dtype.startswith(kinds)


def _origin(makers: Mapping[str, Node], name: str | None) -> tuple[str | None, bool]:
    """The input whose numbers a value holds, or None; whether it holds some of them only."""
    partial = False
    while name is not None and name in makers:
        operation = _operation(makers[name])
        if operation not in _KEEP_VALUES and operation not in _PICK_VALUES:
            return None, partial
        partial = partial or operation in _PICK_VALUES
        name = _argument(makers[name], 0, "self")
    return name, partial


def _operation(node: Node) -> str:
    parts = node.target.split(".")
    return parts[3] if parts[:3] == ["torch", "ops", "aten"] and len(parts) > 3 else ""


def _argument(node: Node, place: int, name: str) -> str | None:
    value = node.positional[place] if len(node.positional) > place else dict(node.keywords).get(name)
    return value.name if isinstance(value, Ref) else None


def _rows(program: Program, node: Node) -> int | None:
    operation = _operation(node)
    if operation in ("embedding", "embedding_bag"):
        table = program.graph.tensors.get(_argument(node, 0, "weight") or "")
        rows = table.shape[0] if table is not None and table.shape else None
        return rows if isinstance(rows, int) else None
    if operation == "one_hot" and len(node.positional) > 1 and isinstance(node.positional[1], int):
        return node.positional[1] if node.positional[1] > 0 else None
    return None
