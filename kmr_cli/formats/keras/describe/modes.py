"""Layers that a Keras config calls with ``training=True``, which says how they run wherever nobody says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_DEEPEST = 50


def always_training(entry: Any) -> tuple[str, ...]:
    """Paths of the layers of a functional config (Keras 2 or 3) whose calls ask for training mode."""
    return tuple(dict.fromkeys(_walk(entry, "", 0)))


def _walk(entry: Any, above: str, depth: int) -> Iterator[str]:
    config = entry.get("config") if isinstance(entry, dict) else None
    layers = config.get("layers") if isinstance(config, dict) else None
    if not isinstance(layers, list) or depth > _DEEPEST:
        return
    for layer in layers:
        if not isinstance(layer, dict):
            continue
        own = layer.get("config")
        name = layer.get("name") or (own.get("name") if isinstance(own, dict) else None)
        if not isinstance(name, str):
            continue
        if _asks(layer.get("inbound_nodes")):
            yield above + name
        yield from _walk(layer, f"{above}{name}/", depth + 1)


def _asks(nodes: Any, depth: int = 0) -> bool:
    """Whether a keyword argument ``training`` with the value true is anywhere in here."""
    if depth > _DEEPEST:
        return False
    if isinstance(nodes, dict):
        return nodes.get("training") is True or any(_asks(value, depth + 1) for value in nodes.values())
    return isinstance(nodes, list) and any(_asks(value, depth + 1) for value in nodes)
