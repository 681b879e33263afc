"""KMR409: what a model takes and returns."""

from __future__ import annotations

from kmr_cli.rules import Rule

INTERFACE_CHANGED = Rule(
    "KMR409",
    "interface-changed",
    "error",
    "the model takes other inputs, or returns other outputs",
    "callers break",
    "restore names, shapes and dtypes, or take the snapshot again and tell the callers",
    command="compare",
    scope="model",
)
RULES = (INTERFACE_CHANGED,)
