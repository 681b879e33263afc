"""Layers that hold one operation of TensorFlow, which TensorFlow 2.0 to 2.3 made of functions in a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError

from kmr_cli.formats.savedmodel.describe import messages
from kmr_cli.formats.savedmodel.scan import operators
from kmr_cli.records import Hazard


def scan(config: Any, where: str) -> Iterator[Hazard]:
    """The hazard of the operation: one that a SavedModel may hold in any place is none.

    Args:
        config: of the layer.
        where: what to call it.
    """
    operation = _operation(config)
    if operation is None:
        yield Hazard("code", where, "an operation of TensorFlow that cannot be read: what it does is hidden")
        return
    found = operators.hazard(operation)
    if found is not None:
        yield Hazard(found[0], where, f"{operation} {found[1]}")
    elif operation in operators.SAVER or operation in operators.TABLES or operation in operators.FILE_ATTRIBUTES:
        yield Hazard("files", where, f"{operation} reads or writes a file that the model names")
    elif not operators.is_known(operation):
        yield Hazard("code", where, f"{operation[:200]} isn't known to compute only")


def _operation(config: Any) -> str | None:
    """Its name, from the fields of a ``NodeDef`` or from its bytes as text."""
    node = config.get("node_def") if isinstance(config, dict) else None
    if isinstance(node, dict):
        name = node.get("op")
        return name if isinstance(name, str) else None
    if not isinstance(node, str):
        return None
    try:
        return str(messages.NodeDef.FromString(node.encode("utf-8", "surrogatepass")).op) or None
    except DecodeError:
        return None
