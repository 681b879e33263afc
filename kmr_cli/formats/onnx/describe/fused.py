"""Layers of the original model that are no longer nodes of the file, as far as names still show them."""

from __future__ import annotations

import re
from collections.abc import Collection

from kmr_cli.formats.onnx.describe.analysis import Analysis

_NAME_OF_WEIGHT = re.compile(r"^([\w.]+)\.(weight|bias)$")


def fused_layers(analysis: Analysis) -> dict[str, str]:
    """Path of a layer that is gone -> the layer that works with its weights, which PyTorch names after their layer.

    A convolution and the batch normalisation behind it become one operator under the name of either.
    """
    if analysis.scopes.separator != ".":
        return {}
    known = {layer.path for layer in analysis.layers}
    containers = {path.rpartition(".")[0] for path in known}
    found: dict[str, str] = {}
    for layer in analysis.layers:
        if layer.path in containers:
            continue
        for weight in layer.weights:
            match = _NAME_OF_WEIGHT.match(weight)
            if match is None or match[1] in known:
                continue
            inside = match[1].startswith(f"{layer.path}.") or layer.path.startswith(f"{match[1]}.")
            if not inside:  # a submodule whose weights the layer uses itself isn't a layer of its own
                found.setdefault(match[1], layer.path)
    return found


def missing_layers(analysis: Analysis, fused: Collection[str]) -> list[str]:
    """Gaps in the numbers of a sequence of layers: ``stem.1`` between ``stem.0`` and ``stem.2``."""
    if analysis.scopes.separator != ".":
        return []
    numbers: dict[str, set[int]] = {}
    for layer in analysis.layers:
        parent, _, part = layer.path.rpartition(".")
        if part.isdecimal() and len(part) < 5:
            numbers.setdefault(parent, set()).add(int(part))
    gaps = [
        f"{parent}.{number}" if parent else str(number)
        for parent, seen in numbers.items()
        for number in range(max(seen))
        if number not in seen
    ]
    return [path for path in gaps if path not in fused]
