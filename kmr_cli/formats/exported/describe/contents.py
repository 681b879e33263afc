"""Where what an input's steps hold begins in a program: vectors of its ids, or itself with masked steps made zero."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from kmr_cli.formats.exported.describe.operators import short
from kmr_cli.formats.exported.describe.program import Graph, references

_SAME = frozenset({"_to_copy", "to", "alias", "detach", "clone", "contiguous"})
_PRODUCTS = frozenset({"mul", "where", "masked_fill"})


def steps_of(graph: Graph, inputs: Collection[str]) -> Iterator[str]:
    """The values that have what stands in the steps of some inputs, where what masks them is known by then.

    Args:
        graph: of the program.
        inputs: values of it.
    """
    same, behind = set(inputs), {name: {name} for name in inputs}
    for node in graph.nodes:
        kind, uses = short(node).partition(".")[0], node.uses
        sources = set().union(*(behind.get(name, set()) for name in uses))
        behind.update((name, sources) for name in node.makes)
        if not same.intersection(uses) or len(node.makes) != 1:
            continue
        indices = list(references(node.positional[1])) if len(node.positional) > 1 else []
        masked = kind in _PRODUCTS and any(behind.get(name) for name in uses if name not in same)
        if (kind == "embedding" and same.intersection(indices)) or masked:
            yield node.makes[0]
        elif kind in _SAME:
            same.update(node.makes)
