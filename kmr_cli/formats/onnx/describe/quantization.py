"""What a quantized model says of itself: which operators, which dtypes, and the scales."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any

from kmr_cli.formats.onnx.describe import kinds
from kmr_cli.formats.onnx.describe.analysis import Analysis
from kmr_cli.formats.onnx.describe.flow import Node

# Operator -> places of its scales among its inputs.
_SCALES = {
    "QuantizeLinear": (1,),
    "DequantizeLinear": (1,),
    "QLinearConv": (1, 4, 6),
    "QLinearMatMul": (1, 4, 6),
}
_WEIGHT_SCALES = {"QLinearConv": (4,), "QLinearMatMul": (4,)}
_INTEGER_OPERATORS = frozenset({"ConvInteger", "MatMulInteger", "MatMulNBits", "DynamicQuantizeMatMul"})
_FLOAT = 1


def notes(analysis: Analysis) -> list[str]:
    """Lines for ``layers``; none for a model that isn't quantized."""
    nodes = analysis.graph.nodes
    fixed, weights = _scales(analysis)
    found = []
    if fixed:
        found.append(f"quantized activations with {_range('fixed scale', fixed)}")
    if weights:
        channels = ", one a channel" if any(len(scales) > 1 for scales in weights.values()) else ""
        found.append(f"quantized weights with {_range('scale', weights)}{channels}")
    dynamic = [node for node in nodes if node.op in kinds.DYNAMIC_QUANTIZATION]
    if dynamic:
        found.append(
            f"{len(dynamic)} x {dynamic[0].op}: one scale for all samples of a batch, computed at run time, so that "
            "each changes the others' answers; quantize statically, or with a scale for every row, to keep them apart"
        )
    return found


def _scales(analysis: Analysis) -> tuple[dict[str, tuple[float, ...]], dict[str, tuple[float, ...]]]:
    """Scales of activations and those of weights, by the name of the value that holds them."""
    fixed: dict[str, tuple[float, ...]] = {}
    weights: dict[str, tuple[float, ...]] = {}
    for node in analysis.graph.nodes:
        reads = list(node.message.input)
        for place in _SCALES.get(node.op, ()):
            if place >= len(reads) or not (values := _values(analysis, reads[place])):
                continue
            of_weight = place in _WEIGHT_SCALES.get(node.op, ()) or (
                node.op == "DequantizeLinear" and reads[0] not in analysis.graph.live
            )
            (weights if of_weight else fixed)[reads[place]] = values
        if node.op in _INTEGER_OPERATORS:
            weights.update(_behind_integers(analysis, node))
    return fixed, weights


def _behind_integers(analysis: Analysis, node: Node) -> Iterator[tuple[str, tuple[float, ...]]]:
    """The scale of an integer weight, which stands beside it under a name that a quantizer gave it."""
    for name in node.message.input:
        scale = name.removesuffix("_quantized") + "_scale"
        if name.endswith("_quantized") and (values := _values(analysis, scale)):
            yield scale, values


def _values(analysis: Analysis, name: str) -> tuple[float, ...]:
    """The float32 elements of a small constant; empty where they are not at hand."""
    message = analysis.graph.initializers.get(name)
    node = analysis.graph.maker.get(name)
    if message is None and node is not None and node.op == "Constant":
        attribute = node.attribute("value")
        message = attribute.t if attribute is not None else None
    if message is None or message.data_type != _FLOAT:
        return ()
    return _floats(message)


def _floats(message: Any) -> tuple[float, ...]:
    if message.float_data:
        return tuple(message.float_data)
    raw = message.raw_data
    return struct.unpack(f"<{len(raw) // 4}f", raw[: len(raw) // 4 * 4])


def _range(word: str, scales: dict[str, tuple[float, ...]]) -> str:
    values = list(_flat(scales.values()))
    low, high = min(values), max(values)
    if low == high:
        return f"the {word} {low:.3g}"
    return f"{word}s {low:.3g} to {high:.3g}"


def _flat(groups: Iterable[tuple[float, ...]]) -> Iterator[float]:
    for group in groups:
        yield from group
