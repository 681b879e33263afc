"""KMR102, KMR103: what the same samples show in batches of other sizes."""

from __future__ import annotations

from collections.abc import Collection

from kmr_cli.check.observed import SizeRun
from kmr_cli.check.probes.trace import trace
from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.sources import Source
from kmr_cli.evidence.taps import Tap
from kmr_cli.rules import Rule

BATCH_SIZE_DEPENDENT = Rule(
    "KMR102",
    "batch-size-dependent",
    "error",
    "the model fails, or returns another number of samples or other values, at some batch size",
    "a server that batches dynamically fails on the first batch of that size, or answers by how many ask at once",
    "take the batch size from the input at run time, and let no value depend on it; name the axes of squeeze and"
    " reshape",
    headline="answers depend on the batch size",
    gravity=60,
    batch_statistics="note",
)
COINCIDENT_BROADCAST = Rule(
    "KMR103",
    "coincident-broadcast",
    "error",
    "a sample's value changes, or only works, when the batch size equals another dimension",
    "two axes that happen to be equal are multiplied with each other, silently",
    "give the operand its missing axis (expand_dims), so that shapes agree at every batch size",
    headline="answers depend on the batch size",
    gravity=60,
    needs_owners=True,
    batch_statistics="note",
)
RULES = (BATCH_SIZE_DEPENDENT, COINCIDENT_BROADCAST)


def judge(run: Run, found: SizeRun, *, coincident: bool) -> None:
    """The model fails at this size, or other numbers or values of samples come out: once for each of the two rules.

    Args:
        run: the check.
        found: what this size showed.
        coincident: the values differ where the size equals another dimension, and at no other.
    """
    rule = COINCIDENT_BROADCAST if found.differs is not None and coincident else BATCH_SIZE_DEPENDENT
    if run.reported(rule):
        return
    port, text = found.wrong_count or found.differs or ("out0", "")
    if found.error is not None:
        text = f"fails {run.where(found)}: {found.error}"
    elif found.differs is not None:
        text = f"{run.where(found)}: {text}"
    traced = trace(run, found.rows, failed=found.error is not None)
    for source in (traced and traced.sources) or [Source("", 0, port)]:
        run.add(rule, source, text)


def judge_failing(
    run: Run, failure: ModelRunError, failed: Tap | None, works: Collection[int], dimensions: Collection[int]
) -> None:
    """The model fails on the batch itself, and runs at some other sizes.

    Args:
        run: the check.
        failure: what it says to the batch.
        failed: the output of the layer that failed, where that is known.
        works: the sizes at which it runs.
        dimensions: other sizes of the inputs.
    """
    # One sample is broadcast against anything.
    rule = COINCIDENT_BROADCAST if {1, *dimensions} >= set(works) != {1} else BATCH_SIZE_DEPENDENT
    listed = ", ".join(map(str, works))
    text = f"fails on a batch of {run.evidence.size} and runs only at {listed}: {failure.message}"
    run.add(rule, Source(*(failed or ("", 0, "out0"))), text)
