"""KMR110: an output that doesn't return one row per sample along axis 0."""

from __future__ import annotations

from kmr_cli.check.run import Run
from kmr_cli.evidence.owners import NOBODY
from kmr_cli.evidence.sources import Source
from kmr_cli.rules import Rule

OUTPUT_LAYOUT = Rule(
    "KMR110",
    "output-layout",
    "warning",
    "an output carries the batch on an axis other than 0, or has several rows for each sample",
    "a server that splits axis 0 of a batched answer hands out the wrong rows",
    "return one row for each sample along axis 0: move the axis back, or split the merged one",
    scope="model",
    headline="an output doesn't hold one row for each sample",
    gravity=5,
    needs_owners=True,
)
RULES = (OUTPUT_LAYOUT,)


def judge(run: Run) -> None:
    """A warning at every output in which the samples are told apart, but not by the rows of axis 0."""
    for tap in run.outputs:
        if run.in_own_element(tap):
            continue
        index = run.indices[tap]
        if index.kind not in ("moved", "merged") or index.axis is None or tap in run.allowed_outputs:
            continue
        shape, share = run.evidence.specs[tap].shape, len(index.owners) // run.evidence.size
        if index.kind == "moved":
            text = f"{run.title(tap)} carries the batch on axis {index.axis} of {shape}"
        else:
            turns = index.owners[0] != NOBODY and index.owners[0] not in index.owners[1:share]
            order = "the samples in turn" if turns and share > 1 else "one sample after the other"
            text = f"{run.title(tap)} has {share} rows for each sample on axis {index.axis} of {shape}, {order}"
        run.add(OUTPUT_LAYOUT, Source(*tap), text, output=tap)
