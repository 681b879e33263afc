"""The operator at which something begins that an output shows: dependence on the place, or on the number of samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from kmr_cli.proof.engine import Owners
from kmr_cli.proof.graph import Graph, Operator
from kmr_cli.proof.owners import Owner


def origin(graph: Graph, found: Owners, name: str, shows: Callable[[Owner], bool]) -> tuple[str, str, str]:
    """(operator, layer, kind) of the first operator on the way to a value that makes what shows, from what does not.

    Empty texts where the graph starts with it, or nothing makes the value.
    """
    makers = {made: one for one in _every(graph.operators) for made in one.outputs if made is not None}
    seen: set[str] = set()
    while name not in seen:
        seen.add(name)
        operator = makers.get(name)
        if operator is None:
            return "", "", ""
        before = next((one for one in operator.reads if one in found.of and shows(found.of[one])), None)
        if before is None:
            return operator.name, operator.layer, operator.kind
        name = before
    return "", "", ""


def _every(operators: Iterable[Operator]) -> Iterator[Operator]:
    """Those inside of branches and loops too."""
    for operator in operators:
        yield operator
        for body in operator.graphs:
            yield from _every(body.operators)
