"""KMR108: NaN in one sample changes another."""

from __future__ import annotations

from functools import partial

from kmr_cli.check.remedies import remedy_of_meeting
from kmr_cli.check.run import Run
from kmr_cli.check.sources import add_at_sources
from kmr_cli.evidence.owners import NOBODY
from kmr_cli.evidence.sources import Source
from kmr_cli.evidence.taps import Tap
from kmr_cli.rules import Rule

POISONED_NEIGHBOUR = Rule(
    "KMR108",
    "poisoned-neighbour",
    "error",
    "NaN in one sample changes another",
    "one bad request spoils every answer of its batch",
    "select with where() instead of multiplying by a mask of zeros",
    headline="samples of a batch change each other",
    gravity=100,
    needs_owners=True,
    batch_statistics="allowed",
)
RULES = (POISONED_NEIGHBOUR,)
_REMEDY = "replace what isn't finite before this layer, or turn such a request away before it joins a batch"
"""Where the model fails."""


def judge(run: Run) -> None:
    """What NaN in sample 0, and Inf, showed: that it failed, or outputs of other samples that changed.

    Nothing is said of outputs in which not every sample showed. The layer that is named is the first that lets NaN out
    of its sample, also where that is into a sum of zeros that belongs to nobody.
    """
    if not run.poison_tried:
        run.skip("no input was given NaN: none takes floats, or every output is random", POISONED_NEIGHBOUR)
    if run.poison_failure is not None:
        failed, what, message = run.poison_failure
        source = Source(*(failed or ("", 0, "out0")))
        run.add(POISONED_NEIGHBOUR, source, f"{what} makes the whole batch fail: {message}", remedy=_REMEDY)
    for tap in run.outputs:
        if tap in run.evidence.nondeterministic or tap not in run.poisoned:
            continue
        if run.indices[tap].kind not in ("routed", "constant", "inconclusive"):
            add_at_sources(
                run,
                POISONED_NEIGHBOUR,
                tap,
                (run.poisoned.keys() | run.crossed).__contains__,
                _touched(run, tap),
                remedy=partial(remedy_of_meeting, run),
            )


def _touched(run: Run, tap: Tap) -> tuple[tuple[int, int], ...]:
    index = run.whose(tap)
    owners = {owner for owner in index.owners if owner not in (0, NOBODY)} if index is not None else set()
    return tuple((owner, 0) for owner in sorted(owners))
