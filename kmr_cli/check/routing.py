"""Layers in which what the samples hold decides which row goes where, as among experts.

Their rows are computed in groups, of which each has as many as the samples of the batch make it: a kernel sums in
another order then, and the last bits of one sample's answer differ with what the others hold.
"""

from __future__ import annotations

from kmr_cli.check.structure import Structure
from kmr_cli.formats.common.words import words
from kmr_cli.formats.interface import OperatorsSession, Session
from kmr_cli.proof.graph import Operator
from kmr_cli.proof.owners import Free

_ROUTE = words("""
    argsort bincount dynamicpartition dynamicstitch histc index index_put masked_scatter masked_select msort nonzero
    nonzero_numpy sort topk topkv2 unique unique2 unique_consecutive unique_dim uniquev2 compress
""")
"""Operators by which rows are picked or ordered by what they hold; picking by an index may be that as well."""


def routing_layers(session: Session, structure: Structure | None) -> frozenset[str]:
    """The layers in whose own code such an operator stands; from the graph where there is one."""
    if structure is not None:
        graph = structure.proof.owners.graph
        made = structure.proof.owners.made
        return frozenset(
            operator.layer
            for operator in graph.operators
            if (_routes(operator.kind.split(".")[1]) or _tells_places(operator))
            and any(name is not None and not isinstance(made.get(name), Free) for name in operator.outputs)
        )
    if not isinstance(session, OperatorsSession):
        return frozenset()
    return frozenset(path for path, kinds in session.operators().items() if any(map(_routes, kinds)))


def _tells_places(operator: Operator) -> bool:
    """Whether it is a ``where`` that tells where something holds."""
    return operator.kind.split(".")[1].lower() == "where" and len(operator.reads) == 1


def _routes(kind: str) -> bool:
    return kind.lower().strip("_") in _ROUTE
