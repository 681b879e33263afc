"""Layers that a Keras config calls with ``training=True``, which counts wherever nobody says otherwise.

A call ``model(x)`` and an export follow it. ``predict`` of Keras 3 passes ``training=False``, which a functional model
hands to all its layers in place of what their calls store; in Keras 2 what is stored wins there, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_DEEPEST = 50


def always_training(entry: Any) -> tuple[str, ...]:
    """Paths of the layers of a functional config (Keras 2 or 3) whose calls ask for training mode."""
    return tuple(dict.fromkeys(_walk(entry, "", 0)))


def overruled_mode(entry: Any, above: str = "", around: bool | None = None, depth: int = 0) -> str | None:
    """Path of a layer whose stored mode and that of a call around it differ, or None.

    There the inner one wins in Keras 2 and the outer one in Keras 3: the same file would compute something else.

    Args:
        entry: a config entry of a model or wrapper.
        above: path of the model, with its separator.
        around: the mode that the calls around it store, if they do.
        depth: how far this is inside the file.
    """
    config = entry.get("config") if isinstance(entry, dict) else None
    if not isinstance(config, dict) or depth > _DEEPEST:
        return None
    if isinstance(config.get("layer"), dict):
        return overruled_mode(config["layer"], f"{above}layer/", around, depth + 1)
    for layer in config["layers"] if isinstance(config.get("layers"), list) else ():
        if not isinstance(layer, dict):
            continue
        path = f"{above}{layer.get('name')}"
        modes: set[bool | None] = set(_modes(layer.get("inbound_nodes")))
        if around is not None and modes - {around}:
            return path
        for mode in modes or {around}:
            found = overruled_mode(layer, f"{path}/", around if around is not None else mode, depth + 1)
            if found is not None:
                return found
    return None


def _modes(nodes: Any, depth: int = 0) -> Iterator[bool]:
    """Every mode that the calls in here ask for."""
    if depth > _DEEPEST:
        return
    if isinstance(nodes, dict):
        asked = nodes.get("training")
        if isinstance(asked, (bool, int, float)):
            yield bool(asked)
    for value in nodes.values() if isinstance(nodes, dict) else nodes if isinstance(nodes, list) else ():
        yield from _modes(value, depth + 1)


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
        if any(_modes(layer.get("inbound_nodes"))):
            yield above + name
        yield from _walk(layer, f"{above}{name}/", depth + 1)
        yield from _walk_wrapped(own, f"{above}{name}/", depth + 1)


def _walk_wrapped(config: Any, above: str, depth: int) -> Iterator[str]:
    """The model inside a wrapper (``TimeDistributed``), or inside the wrapper in it."""
    inner = config.get("layer") if isinstance(config, dict) else None
    if isinstance(inner, dict) and depth <= _DEEPEST:
        yield from _walk(inner, f"{above}layer/", depth)
        yield from _walk_wrapped(inner.get("config"), f"{above}layer/", depth + 1)
