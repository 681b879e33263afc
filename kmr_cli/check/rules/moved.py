"""KMR107: where a layer inside keeps the samples on another axis than 0."""

from __future__ import annotations

from kmr_cli.check.run import Run
from kmr_cli.evidence.sources import Source
from kmr_cli.rules import Rule

BATCH_AXIS_MOVED = Rule(
    "KMR107",
    "batch-axis-moved",
    "note",
    "at this layer the batch is not axis 0, or is merged with another axis",
    "slicing this tensor at [i] does not give sample i",
    "nothing to fix if it is intended: kmr-inspect sample finds the right slices",
)
RULES = (BATCH_AXIS_MOVED,)


def judge(run: Run) -> None:
    """A note at every layer whose output has the batch on another axis, or merged with another one."""
    reported: set[str] = set()
    for tap in run.evidence.order:
        layer, call, port = tap
        index = run.indices[tap]
        if layer and layer not in reported and port.startswith("out") and index.kind in ("moved", "merged"):
            reported.add(layer)
            shape = run.evidence.specs[tap].shape
            words = f"is on axis {index.axis}" if index.kind == "moved" else f"is merged into axis {index.axis}"
            run.add(BATCH_AXIS_MOVED, Source(layer, call, port), f"the batch {words} of {shape}")
