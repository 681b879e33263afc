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
    """Its outputs are those of a pass, of the same shapes, and its layers are those that ``describe`` lists."""
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
        shape = next((graph.values[name].shape for name in references(argument) if name in graph.values), None)
        known = [length for length in shape or () if isinstance(length, int)]
        fits = shape is None or (
            len(shape) == outputs[label].ndim
            and known == [n for n, length in zip(outputs[label].shape, shape, strict=True) if isinstance(length, int)]
        )
        demand(fits, f"the graph gives output {label!r} a different shape than a pass")
    listed = {"", *(layer.path for layer in found.info.layers)}
    strange = sorted({operator.layer for operator in graph.operators} - listed)
    demand(not strange, f"the graph names layers that describe does not list: {', '.join(strange)}")


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
