"""From a graph to the description that every format gives."""

from __future__ import annotations

from math import prod

from kmr_cli.records import LayerInfo, ModelInfo, Shape, TensorSpec

from .archive import Graph, Step


def describe_graph(graph: Graph, path: str, name: str) -> ModelInfo:
    """Layers in the order of the graph, shapes as far as operators and weights give them."""
    shapes: dict[str, Shape] = {spec.name: spec.shape or () for spec in graph.inputs}
    first: dict[str, Step] = {}
    for step in graph.steps:
        first.setdefault(step.layer, step)
        shapes[step.makes] = _shape(graph, step, shapes)
    sizes = {layer: sum(map(prod, weights.values())) for layer, weights in graph.weights.items()}
    layers = tuple(
        LayerInfo(
            path=layer,
            type=said["operator"],
            inputs=tuple(
                TensorSpec(f"in{place}", shapes[value], "float32")
                for place, value in enumerate(first[layer].takes)
                if value is not None
            ),
            outputs=(TensorSpec("out0", shapes[first[layer].makes], "float32"),),
            dtype="float32",
            parameters=sizes.get(layer, 0),
            calls=sum(step.layer == layer for step in graph.steps),
            untappable=said.get("sealed"),
        )
        for layer, said in graph.layers.items()
    )
    outputs = tuple(TensorSpec(out, shapes[value], "float32") for out, value in graph.outputs.items())
    return ModelInfo(path, name, "toymaker 1", graph.inputs, outputs, layers, sum(sizes.values()), separator=":")


def _shape(graph: Graph, step: Step, shapes: dict[str, Shape]) -> Shape:
    given = next(shapes[value] for value in step.takes if value is not None)
    said = graph.layers[step.layer]
    if said["operator"] == "dense":
        return (*given[:-1], graph.weights[step.layer]["kernel"][-1])
    if said["operator"] == "reshape":
        return (None, *said["shape"])
    return given
