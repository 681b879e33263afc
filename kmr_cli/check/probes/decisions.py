"""Decisions that no replacement changed: whoever stands in for a sample may well be of the same class.

A sample of which an output holds another decision takes the place of such a sample, so that it has to change.
"""

from __future__ import annotations

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.arrays.dtypes import discrete
from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.taps import Tap


def change_decisions(run: Run) -> None:
    """A pass for every sample that some discrete output did not react to, as far as another is decided otherwise.

    None where samples are replaced in groups. To come right after the passes that replace each sample.
    """
    if not run.evidence.singly:
        return
    for sample, other in _silent(run).items():
        data = {name: np.array(values, copy=True) for name, values in run.batch.items()}
        for values in data.values():
            values[sample] = values[other]
        run.budget += 1
        try:
            run.replace_one(f"replacing sample {sample} by sample {other}", data, sample)
        except ModelRunError:  # it belongs at its place, as where samples come in order
            return


def _silent(run: Run) -> dict[int, int]:
    """Sample that a discrete output did not react to -> another one that the output tells from it."""
    found: dict[int, int] = {}
    for tap in run.outputs:
        value = run.evidence.base[tap]
        rows = value.ndim > 0 and len(value) == run.evidence.size
        if rows and discrete(value) and tap not in run.evidence.nondeterministic | run.evidence.rerouted:
            for sample in _never_moved(run, tap):
                same = np.broadcast_to(value[sample : sample + 1], value.shape)
                others = np.flatnonzero(changed(same, value).reshape(len(value), -1).any(axis=1))
                if others.size:
                    found.setdefault(sample, int(others[0]))
    return found


def _never_moved(run: Run, tap: Tap) -> list[int]:
    movement = run.evidence.movement(tap)
    return [] if movement is None else [sample for sample, moved_by in enumerate(movement) if sample not in moved_by]
