"""KMR109: what depends on where a sample stands in its batch."""

from __future__ import annotations

from collections.abc import Collection

from kmr_cli.check.observed import SizeRun, Trial
from kmr_cli.check.probes.trace import trace
from kmr_cli.check.rules.mixing import judge_order
from kmr_cli.check.rules.sizes import BATCH_SIZE_DEPENDENT
from kmr_cli.check.run import Run
from kmr_cli.evidence.sources import Source
from kmr_cli.evidence.taps import Tap
from kmr_cli.rules import Rule

BATCH_PLACE_DEPENDENT = Rule(
    "KMR109",
    "batch-place-dependent",
    "error",
    "a sample's value depends on its place in the batch",
    "the same request gets a different answer, depending on how many others come before it in its batch",
    "count positions along the axis of steps (batch_first), and give parameters and noise no batch axis",
    headline="answers depend on the place in the batch",
    gravity=70,
    needs_owners=True,
    batch_statistics="note",
)
RULES = (BATCH_PLACE_DEPENDENT,)


def judge(run: Run, found: SizeRun) -> None:
    """Only samples at other places than their own came out differently: is it the place, the neighbours or the size?

    In as large a batch as the first, but in another order, it cannot be the size. Where the layer at which it goes
    wrong takes in mixed values, it is the mix that shows. Reported once.
    """
    assert found.differs is not None
    counted = not run.by_data and ("", 0, found.differs[0]) in run.recalled
    if counted or run.reported(BATCH_PLACE_DEPENDENT):
        return  # numbers drawn from a seed that each call moves stand at a place only as long as the seed is put back
    port, size = found.differs[0], run.evidence.size
    shifted = Trial(size, coincident=False, shifted=True).rows(size)
    traced = trace(run, shifted, failed=False)
    by_size = traced is not None and not traced.sources and found.rows != shifted
    if (by_size or traced is None) and run.reported(BATCH_SIZE_DEPENDENT):
        return  # which explains it
    if by_size:
        traced = trace(run, found.rows, failed=False)
    sources, right = (traced.sources, traced.right) if traced is not None else ([], set())
    sources = sources or [Source("", 0, port)]
    output = ("", 0, port)
    mixers = [] if run.rounded(output) else run.mixers()
    if mixers and any(_takes_in_a_mix(run, source, mixers, right) for source in sources):
        judge_order(run, output, mixers)
        return
    rule, text = (
        BATCH_PLACE_DEPENDENT,
        f"{run.title(output)} of the same samples differs when they are at another place",
    )
    if by_size:
        rule, text = BATCH_SIZE_DEPENDENT, f"{run.where(found)}: {found.differs[1]}"
    for source in sources:
        run.add(rule, source, text)


def _takes_in_a_mix(run: Run, source: Source, mixers: Collection[Source], right: Collection[Tap]) -> bool:
    """Whether what enters a layer, or the model's own code, depends on several samples, or the layer mixes them."""
    if not source.layer or any((source.layer, source.call) == (other.layer, other.call) for other in mixers):
        return True
    entered = [tap for tap in run.evidence.order if tap[:2] == (source.layer, source.call) and tap[2].startswith("in")]
    return any(run.mixed(tap) and tap not in right for tap in entered)
