"""Our own layers, for the models that hold them."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

PREFIX = "kmr.layers>"
"""What the registered names of the bundled layers begin with, as do those of the KMR package's own."""


def import_bundled_layers(entry: dict[str, Any]) -> None:
    """Import ``kmr_cli.layers`` if a model's config names such a layer; Keras must be imported.

    A layer that the user has already registered under the same name stays.
    """
    if PREFIX not in json.dumps(entry) or "kmr_cli.layers" in sys.modules:
        return
    known = sys.modules["keras"].saving.get_custom_objects()
    theirs = {name: kind for name, kind in known.items() if name.startswith(PREFIX)}
    import_module("kmr_cli.layers")
    known.update(theirs)
