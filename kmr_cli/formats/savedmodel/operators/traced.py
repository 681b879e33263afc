"""A function that TensorFlow traced, as it writes it down: a GraphDef."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kmr_cli.formats.savedmodel.describe import flow, messages
from kmr_cli.formats.savedmodel.describe.graph import PLACEHOLDERS, Graph, producer, with_index
from kmr_cli.formats.savedmodel.operators.graph import Source, Start, operators
from kmr_cli.proof import graph as neutral


def traced(
    graph_def: bytes,
    starts: Sequence[Start],
    outputs: Sequence[tuple[str, str]],
    places: Mapping[str, tuple[str, int]] | None = None,
    taps: Mapping[tuple[str, int, str], str] | None = None,
) -> neutral.Graph:
    """The operators of a traced function.

    Args:
        graph_def: serialized.
        starts: what it is given: samples, weights, and variables that it captured.
        outputs: (name for people, tensor).
        places: layer and call of a node, by name.
        taps: (layer, call, port) -> the tensor that stands there.

    Raises:
        ModelFileError: functions call each other without end.
    """
    meta_graph = messages.MetaGraphDef()
    meta_graph.graph_def.ParseFromString(graph_def)
    made = {node.name: node.op for node in meta_graph.graph_def.node}
    # A short constant that was captured has its value in the graph.
    starts = [one for one in starts if made.get(producer(one.tensor)) in PLACEHOLDERS]
    feeds = [with_index(one.tensor) for one in starts]
    inlined = Graph(meta_graph, [f"^{name}" for name in made], feeds, "the traced model")
    ends = [(label, inlined.resolve(tensor)) for label, tensor in outputs]
    order = flow.trace(inlined, feeds, [tensor for _, tensor in ends]).order
    left = list(_with_what_is_left(starts, inlined, order))
    seen = {tap: inlined.resolve(tensor) for tap, tensor in (taps or {}).items()}
    return operators(Source(inlined, order, left, ends, places or {}, seen))


def _with_what_is_left(starts: Iterable[Start], inlined: Graph, order: Iterable[str]) -> Iterable[Start]:
    """What it is given, and what it captured besides: variables without a shape, tables."""
    taken = {producer(one.tensor) for one in starts}
    yield from starts
    for name in order:
        if inlined.nodes[name].op in PLACEHOLDERS and name not in taken:
            yield Start(f"{name}:0", None, inlined.dtype(f"{name}:0"), shared=True, label=name)
