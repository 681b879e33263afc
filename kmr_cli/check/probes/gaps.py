"""A sample of which a part is missing, beside two different sets of others: whose values fill the gaps?"""

from __future__ import annotations

from kmr_cli.batch import replacement, stress
from kmr_cli.check.probes.parts import moved_parts, parts_of
from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.taps import Tap

PASSES = 2


def leave_gaps(run: Run, sample: int) -> dict[Tap, int]:
    """Two passes in which a quarter of ``sample`` is NaN: with the others as they are, and with others.

    Returns:
        Tap -> how far the sample's part differs between them, as :meth:`Evidence.kept` tells it. Empty where no input
        may hold NaN, or the model does not run on it.
    """
    data = stress.partly_missing(run.batch, sample, run.session.inputs, run.rng)
    if data is None:
        return {}
    others = [other for other in range(run.evidence.size) if other != sample]
    doing = "leaving out a part of a sample"
    try:
        before = parts_of(run, doing, data, [sample])
        after = parts_of(run, doing, replacement.replace(data, others, run.session.inputs, run.rng), [sample])
    except ModelRunError as exc:
        run.refused.append(f"a sample of which a part is missing (the model fails on NaN: {exc.message})")
        return {}
    return moved_parts(run, before, after)
