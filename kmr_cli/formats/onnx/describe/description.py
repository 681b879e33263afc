"""From the analysis of a file to the record that ``layers`` shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from kmr_cli.formats.common.dynamic_quantization import one_scale
from kmr_cli.formats.common.fixed_inputs import fixed_inputs
from kmr_cli.formats.common.graph_layers import Layer, fixed_batch, inputs_of_calls, reaching
from kmr_cli.formats.common.notes import some
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.formats.onnx.describe import kinds, quantization
from kmr_cli.formats.onnx.describe.analysis import Analysis
from kmr_cli.formats.onnx.describe.bodies import Body, closed
from kmr_cli.formats.onnx.describe.flow import Flow
from kmr_cli.formats.onnx.describe.fused import fused_layers, missing_layers
from kmr_cli.formats.onnx.describe.weights import Weights
from kmr_cli.records import LayerInfo, ModelInfo

_OPTIMIZED = "graph optimization, which is off here: with it, the last bits of values differ"
_IN_INTEGERS = "; of a quantized model, which it computes in integers, more than these"
_OWN_WEIGHTS = "ai.onnx.ml"
"""The domain of operators that hold what they learned in attributes: trees, scalers."""


def model_info(analysis: Analysis, options: OpenOptions, format_name: str) -> ModelInfo:
    """The whole description; inputs that are given as constants are left out of it."""
    fixed = fixed_inputs(analysis.path.name, analysis.inputs(), options.constants)
    inputs = tuple(spec for spec in analysis.inputs() if spec.name not in fixed)
    return ModelInfo(
        path=str(analysis.path),
        format=format_name,
        writer=_writer(analysis),
        inputs=inputs,
        outputs=tuple(analysis.graph.type(name).spec(name) for name in analysis.graph.outputs),
        layers=layer_infos(analysis),
        parameters=_parameters(analysis),
        separator=analysis.scopes.separator,
        fixed_batch=fixed_batch(inputs),
        notes=tuple(_notes(analysis)),
        beside=tuple(file.location for file in analysis.external),
        unseen=(
            _OPTIMIZED + (_IN_INTEGERS if any(node.op == "DequantizeLinear" for node in analysis.graph.nodes) else ""),
        ),
    )


def layer_infos(analysis: Analysis) -> tuple[LayerInfo, ...]:
    """The layers, a parent before its children."""
    graph, known = analysis.graph, None
    if len(graph.inputs) > 1 and any(len(layer.calls) > 1 for layer in analysis.layers):
        known = reaching({name: name for name in graph.inputs}, ((node.reads, node.outputs) for node in graph.nodes))
    bodies: dict[str, list[Body]] = {}
    for body in analysis.bodies:
        bodies.setdefault(body.operator, []).append(body)
    found: list[LayerInfo] = []
    for layer in analysis.layers:
        found.append(_layer_info(layer, graph, analysis.weights, known))
        found += _inside(layer.path, bodies)
    return tuple(found)


def _inside(operator: str, bodies: Mapping[str, list[Body]]) -> Iterator[LayerInfo]:
    """The layers in what an operator runs, and in what those run."""
    for body in bodies.get(operator, ()):
        for layer in body.layers:
            yield replace(_layer_info(layer, body.graph, body.weights, None), calls=None)
            yield from _inside(layer.path, bodies)


def _layer_info(layer: Layer, graph: Flow, weights: Weights, known: Mapping[str, frozenset[str]] | None) -> LayerInfo:
    first = layer.calls[0]
    outputs = tuple(graph.type(name).spec(f"out{port}") for port, name in enumerate(first.outputs))
    dtypes = {dtype for name in layer.weights if (dtype := weights[name].dtype_name) is not None}
    dtypes = dtypes or {one.dtype for one in outputs[:1] if one.dtype is not None}
    return LayerInfo(
        path=layer.path,
        type=layer.kind,
        inputs=tuple(graph.type(name).spec(f"in{port}") for port, name in enumerate(first.inputs)),
        outputs=outputs,
        dtype=dtypes.pop() if len(dtypes) == 1 else None,
        parameters=weights.sum(layer.weights),
        calls=len(layer.calls),
        call_inputs=inputs_of_calls([call.inputs for call in layer.calls], known, graph.inputs) if known else (),
        mixes=one_scale(layer.kind) if layer.kind in kinds.DYNAMIC_QUANTIZATION else None,
    )


def _parameters(analysis: Analysis) -> int | None:
    if any(node.domain == _OWN_WEIGHTS for node in analysis.graph.nodes):
        return None
    return analysis.weights.sum(analysis.weights.parameters)


def _writer(analysis: Analysis) -> str:
    model = analysis.source.model
    version = model.producer_version.split()[:1]  # tf2onnx writes a commit behind it, or "None"
    return " ".join([model.producer_name.strip(), *version]).strip() or "an unnamed program"


def _notes(analysis: Analysis) -> list[str]:
    graph = analysis.graph
    notes = [_operators(analysis)]
    notes += quantization.notes(analysis)
    fused = fused_layers(analysis)
    if fused:
        shown = [f"{missing} in {layer}" for missing, layer in fused.items()]
        notes.append(f"the exporter fused layers into others: {some(shown)}")
    missing = missing_layers(analysis, frozenset(fused))
    if missing:
        notes.append(f"layers that the exporter dropped or fused into others: {some(missing)}")
    shut = [node.name or node.op for node in closed(graph)]
    if shut:
        notes.append(f"inside of these loops and branches not everything can be tapped: {some(shut)}")
    if graph.functions:
        notes.append(f"functions of the file's own, tapped inside: {some(graph.functions)}")
    for file in analysis.external:
        if file.problem:
            notes.append(f"{file.problem}: the model cannot be run")
        else:
            notes.append(f"weights in {file.location} beside it ({_bytes(file.size or 0)})")
    return notes


def _operators(analysis: Analysis) -> str:
    """The versions of its operators: ``opset 20, ai.onnx.ml 1``."""
    imports = analysis.graph.imports
    own = [f"opset {imports['']}"] if "" in imports else []
    return "operators: " + ", ".join(
        [*own, *(f"{domain} {version}" for domain, version in sorted(imports.items()) if domain)]
    )


def _bytes(size: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
