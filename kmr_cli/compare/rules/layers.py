"""KMR401, KMR402: the set of layers and their names."""

from __future__ import annotations

from kmr_cli.rules import Rule

LAYERS_CHANGED = Rule(
    "KMR401",
    "layers-changed",
    "error",
    "layers were added or removed",
    "the model is no longer built as the baseline says, whatever its values",
    "see which layers are named; take the snapshot again if the change is intended (compare --update)",
    command="compare",
    scope="model",
    if_passed="the outputs agree, and so do the layers that both have",
    gravity=10,
)
LAYER_RENAMED = Rule(
    "KMR402",
    "layer-renamed",
    "warning",
    "a layer has another path, with the same shape at the same place",
    "weights, taps and settings that go by the path no longer find it",
    "give the layer its old name, or take the snapshot again",
    command="compare",
)
RULES = (LAYERS_CHANGED, LAYER_RENAMED)
