"""Calls of modules: which nodes they are made of, and what enters and leaves."""

from __future__ import annotations

from dataclasses import dataclass, field

from kmr_cli.formats.exported.describe.program import Graph


@dataclass
class Call:
    """One call of a module.

    Attributes:
        path: of the module.
        kind: what it is.
        first, last: ranks of its nodes in their graph.
        inputs: value -> rank of the node that takes it first.
        outputs: value -> a rank by which to sort them.
    """

    path: str
    kind: str
    first: int
    last: int
    inputs: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)


@dataclass
class ModuleCall(Call):
    """A call in the model's own graph; its kind is the module's class, with where that is defined.

    Attributes:
        number: of the call, from 0.
        outputs: value -> rank of the first node outside that takes it, or the number of nodes.
    """

    number: int = field(kw_only=True)


@dataclass
class InnerCall(Call):
    """A call within one run of a graph of its own (how often that graph runs, only a run tells).

    Its kind is the operator that takes its weights.

    Attributes:
        graph: that it runs in.
        outputs: value -> rank of the node that makes it.
    """

    graph: Graph = field(kw_only=True)
