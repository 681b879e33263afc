"""What the operators of each runtime mean, in the terms of the primitives. May import these and the proof's ground."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from kmr_cli.proof.engine import Entry

_TABLE = {
    "aten": "kmr_cli.proof.vocabularies.aten",
    "onnx": "kmr_cli.proof.vocabularies.onnx",
    "tensorflow": "kmr_cli.proof.vocabularies.tensorflow",
}
"""Name of a vocabulary -> the module that has its ``lookup``."""


def lookup(name: str) -> Callable[[str], Entry | None]:
    """From an operator of a vocabulary to what is known of it.

    Raises:
        KeyError: there is no such vocabulary.
    """
    found: Callable[[str], Entry | None] = import_module(_TABLE[name]).lookup
    return found
