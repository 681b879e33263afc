"""A sample out of the ordinary beside two different sets of others: in part missing, all missing, faint.

Whose values fill the gaps, who asks? What is silence, beside whom?
"""

from __future__ import annotations

import numpy as np

from kmr_cli.batch import replacement, stress
from kmr_cli.check.probes.parts import Parts, add_parts, moved_parts, parts_of
from kmr_cli.check.quiet import Quiet
from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.taps import Tap
from kmr_cli.records import Batch

PASSES = 2
FAINT_PASSES = 2
"""Of a batch of two or three samples; in larger ones another sample is faint where the others are made larger."""
_MISSING = "leaving out a part of a sample"


def leave_gaps(run: Run, sample: int, beside: Parts | None = None, value: float = np.nan) -> dict[Tap, int]:
    """Two passes in which a quarter of ``sample`` is missing: the others as they are, then others with gaps of theirs.

    Args:
        run: the check.
        sample: in which something is missing.
        beside: what samples that are missing altogether gave beside the others: they are so in the second pass too.
        value: what stands for what is missing.

    Returns:
        Tap -> how far the sample's part differs between them, or that of the others from what they gave before, as
        :meth:`Evidence.kept` tells it. Empty where no input may hold NaN, or the model does not run on it.
    """
    data = stress.partly_missing(run.batch, [sample], run.session.inputs, run.rng, value)
    if data is None:
        return {}
    others = _others(run, sample)
    # From the batch without the gaps: of two samples one alone would tell what is drawn there, the value that it has.
    replaced: Batch = replacement.replace(run.batch, others, run.session.inputs, run.rng)
    replaced = stress.partly_missing(replaced, others, run.session.inputs, run.rng, value) or replaced
    missing = sorted({one for _, one in beside or ()})
    nothing = stress.poisoned(run.batch, missing, run.session.inputs, value) if missing else None
    if nothing is not None:  # their other inputs, too, are what they were beside the others
        replaced = _with(replaced, nothing, *missing)
    return _beside_two(run, _MISSING, sample, (data, _with(replaced, data, sample)), beside or {})


def stay_faint(run: Run, sample: int) -> dict[Tap, int]:
    """Two passes in which ``sample`` is faint, though not silent: the others as they are, then far larger ones."""
    data = stress.faint(run.batch, [sample], run.session.inputs)
    loud = stress.extreme(run.batch, [sample], run.session.inputs, run.rng, stress.FAR_LARGER)
    if loud is None:
        return {}
    return _beside_two(run, "making a sample faint", sample, (data, _with(loud, data, sample)), {})


def _others(run: Run, sample: int) -> list[int]:
    return [other for other in range(run.evidence.size) if other != sample]


def _with(batch: Batch, data: Batch, *samples: int) -> Batch:
    """A batch in which some samples are those of another one."""
    result = {name: np.array(values, copy=True) for name, values in batch.items()}
    for name, values in result.items():
        values[list(samples)] = data[name][list(samples)]
    return result


def _beside_two(run: Run, doing: str, sample: int, batches: tuple[Batch, Batch], beside: Parts) -> dict[Tap, int]:
    """A pass of each batch: how far the sample's part differs, and those of the samples that ``beside`` tells of."""
    before: Parts = dict(beside)
    others = _others(run, sample)
    quiet = Quiet(run, others[0])

    def see(tap: Tap, array: np.ndarray) -> None:
        quiet.look(tap, array)
        add_parts(run, tap, array, [sample], before)

    try:
        found = quiet.beside(run.kept(doing, batches[0], others, see))
        after = parts_of(run, doing, batches[1], {one for _, one in before}, before)
    except ModelRunError as exc:
        why = "fails on NaN" if doing == _MISSING else "fails on such made-up data"
        what = "a sample of which a part is missing" if doing == _MISSING else doing
        run.refused.append(f"{what} (the model {why}: {exc.message})")
        return {}
    for tap, far in moved_parts(run, before, after).items():
        found[tap] = max(far, found.get(tap, 0))
    return found
