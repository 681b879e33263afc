"""What is Keras' own, and what is somebody else's."""

from __future__ import annotations

from typing import Any

LIBRARIES = frozenset({"keras", "tf_keras", "tensorflow"})
"""Packages of Keras, and of what it stands on."""


def foreign(thing: Any) -> bool:
    """Whether a class or function is of no such package."""
    return str(getattr(thing, "__module__", "")).partition(".")[0] not in LIBRARIES
