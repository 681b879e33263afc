"""KMR107: where a layer inside keeps the samples on another axis than 0."""

from __future__ import annotations

from kmr_cli.rules import Rule

BATCH_AXIS_MOVED = Rule(
    "KMR107",
    "batch-axis-moved",
    "note",
    "at this layer the batch is not axis 0, or is merged with another axis",
    "slicing this tensor at [i] does not give sample i",
    "nothing to mend if it is intended: kmr-inspect sample finds the right slices",
)
RULES = (BATCH_AXIS_MOVED,)
