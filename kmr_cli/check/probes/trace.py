"""One more pass at another size, to find the layer at which a batch goes wrong. Rules ask for it."""

from __future__ import annotations

from collections.abc import Sequence

from kmr_cli.arrays.dtypes import discrete
from kmr_cli.check.axes import completed
from kmr_cli.check.observed import Traced
from kmr_cli.check.probes.resized import trace_size
from kmr_cli.check.run import Run
from kmr_cli.evidence.taps import Tap
from kmr_cli.records import BatchIndex

TRACES = 2
"""Passes that may look for the layers of what went wrong at another size."""


def trace(run: Run, rows: Sequence[int], *, failed: bool) -> Traced | None:
    """Look for the layers at which a batch goes wrong: at most two passes.

    Args:
        run: the check.
        rows: which sample stands at each place.
        failed: the model fails on it; then one pass is worth its cost in any case.

    Returns:
        None where no passes are left to look for them.
    """
    if run.budget - run.passes > run.to_fill:
        run.fill()
    elif not failed:
        return None
    known = {tap: (value, supposed_index(run, tap)) for tap, value in run.evidence.base.items() if tap in run.indices}
    supposed = {tap for tap in known if tap[0] and not _verified(run, tap) and known[tap][1].axis is not None}
    run.step(f"looking inside at a batch of {len(rows)}")
    found = trace_size(run.session, run.batch, rows, run.taps, known, run.noisy, supposed)
    bound = found.bound if len(rows) != run.evidence.size else []
    return Traced(run.sources(found.wrong.__contains__, found.order), found.right, bound)


def supposed_index(run: Run, tap: Tap) -> BatchIndex:
    """Whose every slice is; also of an output that is mixed in its last bits only, and of what may be so inside.

    Where some samples never showed, the order of the others tells where theirs are.
    """
    if run.indices[tap].kind == "inconclusive" and tap not in run.evidence.nondeterministic:
        return completed(run, tap)
    if tap[0]:
        told = not discrete(run.evidence.specs[tap]) and not run.evidence.rearranged.get(tap, False)
    else:
        told = run.rounded(tap)
    return (run.whose(tap) if told else None) or run.indices[tap]


def _verified(run: Run, tap: Tap) -> bool:
    """Whether passes showed every sample at a place of its own."""
    return run.indices[tap].axis is not None and run.indices[tap].kind != "inconclusive"
