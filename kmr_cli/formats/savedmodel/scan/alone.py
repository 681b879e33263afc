"""One operation of TensorFlow that stands in a file of another kind."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from kmr_cli.formats.savedmodel.describe import messages
from kmr_cli.formats.savedmodel.scan import operators
from kmr_cli.records.scan import HazardKind


def hazard(operation: str) -> tuple[HazardKind, str] | None:
    """What kind of harm it could do and how; None for one that a SavedModel may hold in any place."""
    found = operators.hazard(operation)
    if found is not None:
        return found[0], f"{operation} {found[1]}"
    if operation in operators.SAVER or operation in operators.TABLES or operation in operators.FILE_ATTRIBUTES:
        return "files", f"{operation} reads or writes a file that the model names"
    return None if operators.is_known(operation) else ("code", f"{operation[:200]} isn't known to compute only")


def name_in(node: bytes) -> str | None:
    """The name of the operation in the bytes of a ``NodeDef``; None where they are damaged."""
    try:
        return str(messages.NodeDef.FromString(node).op) or None
    except DecodeError:
        return None
