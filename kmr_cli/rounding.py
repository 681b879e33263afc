"""Is a difference at another batch size the model's mistake, or rounding that the model makes larger?

Some models, deep ones with random weights above all, are so sensitive that the last bit of an input moves their
outputs as far as another input would. Kernels round differently at another batch size, so such a model gives other
answers there, though no sample ever meets another. The control: the same batch with the last bits of its floats
changed. A mistake moves outputs far more than that does.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from kmr_cli import unkind
from kmr_cli.check_run import Run
from kmr_cli.sizes import SizeRun, beyond_rounding, relative

_OF_THE_SAME_KIND = 16.0
"""Rounding happens in every layer and the control moves the input alone: a difference so many times as large as the
control's is still of its kind. In a model that amplifies little, both are far below any tolerance."""


def excuse(run: Run, found: SizeRun) -> SizeRun:
    """The same, without the difference in values if that is amplified rounding. Takes one pass, the first time."""
    if found.differs is None or not any(map(math.isfinite, found.off.values())):
        return found
    if run.shaken is None:
        run.shaken = _shake(run)
    far = [port for port, off in found.off.items() if off > _OF_THE_SAME_KIND * run.shaken.get(port, 0.0)]
    if far:
        return replace(found, differs=(far[0], beyond_rounding(far[0], found.names)))
    return replace(found, differs=None, amplified=found.differs[0])


def _shake(run: Run) -> dict[str, float]:
    """Output port -> how far the last bits of the input move it, in terms of its largest value."""
    data = unkind.shaken(run.batch, run.session.inputs, run.rng)
    if data is None:
        return {}
    run.step("changing the last bits of the input")
    outputs = run.session.capture(data, run.taps, lambda *_: None)
    assert outputs is not None
    before = {tap[2]: run.evidence.base[tap] for tap in run.outputs}
    after = {f"out{number}": np.asarray(value) for number, value in enumerate(outputs.values())}
    return {port: relative(before[port], value) for port, value in after.items() if value.shape == before[port].shape}
