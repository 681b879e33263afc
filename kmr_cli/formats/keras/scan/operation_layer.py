"""Layers that hold one operation of TensorFlow, which TensorFlow 2.0 to 2.3 made of functions in a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kmr_cli.formats.savedmodel.scan import alone
from kmr_cli.records import Hazard


def scan(config: Any, where: str) -> Iterator[Hazard]:
    """The hazard of the operation.

    Args:
        config: of the layer.
        where: what to call it.
    """
    operation = _operation(config)
    if operation is None:
        yield Hazard("code", where, "an operation of TensorFlow that cannot be read: what it does is hidden")
    elif (found := alone.hazard(operation)) is not None:
        yield Hazard(found[0], where, found[1])


def _operation(config: Any) -> str | None:
    """Its name, from the fields of a ``NodeDef`` or from its bytes as text."""
    node = config.get("node_def") if isinstance(config, dict) else None
    if isinstance(node, dict):
        name = node.get("op")
        return name if isinstance(name, str) else None
    return alone.name_in(node.encode("utf-8", "surrogatepass")) if isinstance(node, str) else None
