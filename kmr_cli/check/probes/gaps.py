"""A sample of which a part is missing, beside two different sets of others: whose values fill the gaps, who asks?"""

from __future__ import annotations

import numpy as np

from kmr_cli.batch import replacement, stress
from kmr_cli.check.probes.parts import Parts, add_parts, moved_parts, parts_of
from kmr_cli.check.quiet import Quiet
from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.taps import Tap

PASSES = 2


def leave_gaps(run: Run, sample: int) -> dict[Tap, int]:
    """Two passes in which a quarter of ``sample`` is NaN: the others as they are, then others with gaps of their own.

    Returns:
        Tap -> how far the sample's part differs between them, or that of the others from what they gave before, as
        :meth:`Evidence.kept` tells it. Empty where no input may hold NaN, or the model does not run on it.
    """
    data = stress.partly_missing(run.batch, [sample], run.session.inputs, run.rng)
    if data is None:
        return {}
    others = [other for other in range(run.evidence.size) if other != sample]
    replaced = replacement.replace(data, others, run.session.inputs, run.rng)
    replaced = stress.partly_missing(replaced, others, run.session.inputs, run.rng) or replaced
    doing = "leaving out a part of a sample"
    before: Parts = {}
    quiet = Quiet(run, others[0])

    def see(tap: Tap, array: np.ndarray) -> None:
        quiet.look(tap, array)
        add_parts(run, tap, array, [sample], before)

    try:
        found = quiet.beside(run.kept(doing, data, others, see))
        after = parts_of(run, doing, replaced, [sample], before)
    except ModelRunError as exc:
        run.refused.append(f"a sample of which a part is missing (the model fails on NaN: {exc.message})")
        return {}
    for tap, far in moved_parts(run, before, after).items():
        found[tap] = max(far, found.get(tap, 0))
    return found
