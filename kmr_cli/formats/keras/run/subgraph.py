"""The part of a functional or Sequential model that some of its layers need, as a config of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kmr_cli.formats.keras.describe.config import LayerConfig, leaves, parse_layer
from kmr_cli.formats.keras.describe.running_order import calls_in_order


def needed_part(entry: dict[str, Any], config: LayerConfig, wanted: Iterable[str]) -> dict[str, Any] | None:
    """Cut a model down to the layers from its inputs to the wanted ones.

    Every call of a wanted layer is kept, and of the layers before it the calls up to the last one that is needed,
    so that calls keep their numbers.

    Args:
        entry: the model as its file states it.
        config: the same, parsed.
        wanted: names of layers of the model itself (not of models inside it).

    Returns:
        An entry of the same form, or None where the whole model is needed or cutting it is not safe.
    """
    wanted = set(wanted)
    if config.layers is None or not config.built_in or config.class_name not in ("Functional", "Model", "Sequential"):
        return None
    part = _first_layers(entry, config, wanted) if config.sequential else _functional_part(entry, config, wanted)
    if part is None or not all(_keeps_its_name(raw) for raw in part["config"]["layers"]):
        return None
    return part if _keeps_order(config, part, wanted) else None


def _keeps_order(whole: LayerConfig, part: dict[str, Any], wanted: Iterable[str]) -> bool:
    """Whether several calls of a wanted layer run in the order that they have in the whole model."""
    layers = {layer.name: layer for layer in whole.layers or ()}
    several = [name for name in wanted if len(layers[name].calls) > 1]
    if not several:
        return True
    before, now = calls_in_order(whole), calls_in_order(parse_layer(part))
    return all(before[name] == now[name] for name in several)


def _keeps_its_name(raw: dict[str, Any]) -> bool:
    """Whether a layer comes back under the name it is known by; a class that takes no name gets a new one."""
    inner = raw.get("config")
    return "module" in raw and isinstance(inner, dict) and inner.get("name") == raw.get("name", inner.get("name"))


def _first_layers(entry: dict[str, Any], config: LayerConfig, wanted: set[str]) -> dict[str, Any] | None:
    assert config.layers is not None
    last = max(i for i, layer in enumerate(config.layers) if layer.name in wanted)
    has_input = config.layers[0].class_name == "InputLayer"
    if last + 1 >= len(config.layers) or not has_input or last == 0:
        return None
    inner = {**entry["config"], "layers": entry["config"]["layers"][: last + 1]}
    return {**entry, "config": inner, "build_config": None}


def _functional_part(entry: dict[str, Any], config: LayerConfig, wanted: set[str]) -> dict[str, Any] | None:
    assert config.layers is not None
    layers = {layer.name: layer for layer in config.layers}
    needed = _needed_calls(layers, wanted)
    if needed is None or all(name in needed and needed[name] >= len(la.calls) for name, la in layers.items()):
        return None
    inputs = [ref for ref in leaves(config.inputs) if ref.layer in needed]
    outputs = []
    for name in sorted(wanted):
        layer = layers[name]
        first = 1 if layer.functional else 0  # a nested functional model counts its calls from 1 here
        outputs += [[name, first + i, 0] for i in range(max(1, len(layer.calls)))]
    if not inputs:
        return None
    kept = []
    for raw in entry["config"]["layers"]:
        name = raw.get("name")
        if name in needed:
            kept.append({**raw, "inbound_nodes": raw.get("inbound_nodes", [])[: needed[name]]})
    inner = {
        "name": entry["config"].get("name"),
        "trainable": entry["config"].get("trainable", True),
        "layers": kept,
        "input_layers": [[ref.layer, ref.node, ref.tensor] for ref in inputs],
        "output_layers": outputs,
    }
    return {**entry, "config": inner, "build_config": None}


def _needed_calls(layers: dict[str, LayerConfig], wanted: set[str]) -> dict[str, int] | None:
    """Layer name -> how many of its calls are needed; None where the graph refers to what it does not have."""
    needed: dict[str, int] = {}
    pending = [(name, len(layers[name].calls)) for name in wanted]
    while pending:
        name, count = pending.pop()
        layer = layers.get(name)
        if layer is None:
            return None
        done = needed.get(name, -1)
        if count <= done:
            continue
        needed[name] = count
        for call in layer.calls[max(0, done) : count]:
            for argument in call:
                ref = argument.ref
                available = layers[ref.layer].calls if ref.layer in layers else []
                pending.append((ref.layer, min(ref.node + 1, len(available)) if available else 0))
    return needed
