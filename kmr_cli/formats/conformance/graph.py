"""That the graph which a format hands to the proof is that of the model which it runs."""

from __future__ import annotations

import numpy as np

from kmr_cli.formats.conformance.compare import demand, equal
from kmr_cli.formats.conformance.example import Example, Opened
from kmr_cli.formats.conformance.rule import Rule, rule
from kmr_cli.formats.interface import Taps, optional
from kmr_cli.proof.graph import Graph, references
from kmr_cli.proof.verdict import prove

GRAPH: list[Rule] = []


def _has_graph(example: Example) -> bool:
    return example.path is not None and optional(example.format, "graph") is not None


def _graph(found: Opened) -> Graph:
    made: Graph = optional(found.example.format, "graph")(found.example.path, found.example.options)
    return made


@rule(GRAPH, _has_graph)
def graph_is_that_of_the_model(found: Opened) -> None:
    """Its outputs and taps are those of a pass, of the same shapes; its layers are those that ``describe`` lists."""
    if not _has_graph(found.example):
        return
    graph = _graph(found)
    outputs = found.whole[1]
    named = [label for label, _ in graph.outputs]
    given = list(dict.fromkeys(_whole(name, named) for name in outputs))
    demand(named == given, f"the graph has the outputs {named}, a pass gives {list(outputs)}")
    for label, argument in graph.outputs:
        if label not in outputs:
            continue
        fits = all(_fits(graph, name, outputs[label]) for name in list(references(argument))[:1])
        demand(fits, f"the graph gives output {label!r} a different shape than a pass")
    for tap, value in found.whole[0].items():
        name = graph.taps.get(tap)
        demand(name is None or _fits(graph, name, value), f"the graph gives {tap} a different shape than a pass")
    listed = {"", *(layer.path for layer in found.info.layers)}
    strange = sorted({operator.layer for operator in graph.operators} - listed)
    demand(not strange, f"the graph names layers that describe does not list: {', '.join(strange)}")


def _fits(graph: Graph, name: str, seen: np.ndarray) -> bool:
    """Whether what is known of the shape of a value is that of an array."""
    shape = graph.values[name].shape if name in graph.values else None
    if shape is None:
        return True
    pairs = list(zip(shape, seen.shape, strict=False))
    return len(shape) == seen.ndim and all(length == n for length, n in pairs if isinstance(length, int))


def _whole(name: str, labels: list[str]) -> str:
    """The output that a value is of: a sequence or a map is one in a graph, and its parts are several in a pass."""
    return next((label for label in labels if name == label or name.startswith(f"{label}.")), name)


@rule(GRAPH, _has_graph)
def what_is_proven_holds_in_a_pass(found: Opened) -> None:
    """Outputs that are proven keep the rows of other samples where the first sample is replaced by the last."""
    if not _has_graph(found.example):
        return
    batch = {name: np.array(rows) for name, rows in found.example.batch.items()}
    for rows in batch.values():
        rows[0] = rows[-1]
    before = found.run(Taps(()))[1]
    after = found.run(Taps(()), batch=batch)[1]
    for claim in prove(_graph(found)).claims:
        if claim.answer == "proven" and claim.output in before:
            kept = equal(before[claim.output][1:], after[claim.output][1:])
            demand(kept, f"output {claim.output!r} is proven, and other samples change it")
