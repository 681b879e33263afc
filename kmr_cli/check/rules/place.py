"""KMR109: what depends on where a sample stands in its batch."""

from __future__ import annotations

from kmr_cli.rules import Rule

BATCH_PLACE_DEPENDENT = Rule(
    "KMR109",
    "batch-place-dependent",
    "error",
    "a sample's value depends on its place in the batch",
    "the same request gets another answer, depending on how many others stand before it in its batch",
    "count positions along the axis of steps (batch_first), and give parameters and noise no axis for the samples",
    headline="answers depend on the place in the batch",
    gravity=70,
    needs_owners=True,
    batch_statistics="note",
)
RULES = (BATCH_PLACE_DEPENDENT,)
