"""Passes that are aimed at an operator in which samples can meet, by its graph, though no pass has shown it so far."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kmr_cli.arrays.dtypes import discrete
from kmr_cli.batch import stress
from kmr_cli.check.probes.computed import learn_computed
from kmr_cli.check.probes.extreme import note, run_with, settle
from kmr_cli.check.probes.gaps import PASSES as GAPS
from kmr_cli.check.probes.gaps import leave_gaps
from kmr_cli.check.probes.one_sided import ask
from kmr_cli.check.run import Run
from kmr_cli.evidence.taps import Tap
from kmr_cli.proof.owners import Meet
from kmr_cli.records import Batch

PASSES = 7 + GAPS
"""At most, for the operator that is aimed at."""
_ASKING = 3
"""Those of them that tell what the model compares with, and hold it."""


def aim_at_meets(run: Run) -> None:
    """At most nine passes at the first operator that lets samples meet in an output without having shown it.

    Where the model compares what it is given with numbers that it computes, such as a sum of weights, one pass tells
    these numbers, and two hold them: a question that no other batch answers with yes. Then all samples but the last are
    made copies of the one that what enters the operator's layer is largest for, then of the one that it is smallest
    for, as they are and a hundred times as large: a maximum, a threshold or a sum over the batch reacts to what is
    extreme where it stands, which need not be extreme where the model begins. At last a part of the last sample is Inf,
    beside two sets of others: what stands for a missing value may be filled from theirs.

    Adds to ``moved_by_extreme``.
    """
    for tap, owner in _silent_meets(run):
        if run.mixed(tap) or run.aimed:
            continue
        last = run.evidence.size - 1
        if learn_computed(run):
            run.aimed += _ASKING - 1
            note(run, ask(run))
        for doing, data in _batches(run, owner, last) if not run.mixed(tap) else ():
            run.aimed += 1
            run_with(run, f"{doing}, for operator {owner.operator!r}", last, data)
            if run.mixed(tap):
                break
        if not run.mixed(tap):
            run.aimed += GAPS
            gaps = leave_gaps(run, last, value=np.inf)
            if any(not one[0] and one not in run.poisoned for one in gaps):
                note(run, {one: far for one, far in gaps.items() if one[0] or one not in run.poisoned})
        settle(run)


def _silent_meets(run: Run) -> Iterator[tuple[Tap, Meet]]:
    """Outputs in which samples can meet and were not seen to, with where they meet."""
    if run.structure is None:
        return
    for tap, claim in run.structure.meets(run.outputs, run.evidence.names):
        quiet = tap not in run.evidence.nondeterministic | run.evidence.rerouted
        if quiet and not run.entangled(tap) and isinstance(claim.owner, Meet):
            yield tap, claim.owner


def _batches(run: Run, owner: Meet, last: int) -> Iterator[tuple[str, Batch]]:
    """What the operator is to see, the most likely to matter first."""
    strength = _strength(run, owner, last)
    high, low = int(strength.argmax()), int(strength.argmin())
    for name, sample in (("largest", high), ("smallest", low)):
        copies = stress.copies_of(run.batch, sample, last)
        yield f"making the others what is {name} there", copies
        far = stress.larger(copies, [last], run.session.inputs)
        if far is not None:
            yield f"making the others far {name} there", far


def _strength(run: Run, owner: Meet, last: int) -> np.ndarray:
    """Of every sample but the last, the largest of what enters the layer that the operator stands in."""
    found = np.full(run.evidence.size - 1, -np.inf)
    for tap in run.evidence.order:
        index = run.indices[tap]
        value = run.evidence.base.get(tap)
        if tap[:2] != (owner.layer, owner.call) or not tap[2].startswith("in") or value is None:
            continue
        if index.axis is None or discrete(value) or value.dtype.kind not in "fiu":
            continue
        for sample in range(last):
            part = np.take(value, [place for place, one in enumerate(index.owners) if one == sample], index.axis)
            found[sample] = max(found[sample], float(np.nan_to_num(part.astype(np.float64)).max(initial=-np.inf)))
    return found
