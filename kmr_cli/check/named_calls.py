"""From which of the model's inputs the call of a shared layer is that a finding is about: its number tells little."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.origins import Call, inputs_of_calls
from kmr_cli.evidence.taps import Tap
from kmr_cli.formats.interface import Taps
from kmr_cli.records import Batch


def name_calls(run: Run, spare: Batch | None) -> None:
    """Say of every error and warning at one of several calls of a layer from which inputs of the model it is.

    One pass, and one more for every input, where there is such a finding and the model has several inputs; else none.

    Args:
        run: the check, done.
        spare: further rows of the inputs, preferred as replacement data.
    """
    several = {layer for layer, call, _ in run.evidence.order if call and layer}
    named = [one.finding for one in run.claims if one.finding.severity != "note" and one.finding.layer in several]
    if not named or len(run.session.inputs) < 2:
        return
    reaching = _reaching(run, Taps(tuple(dict.fromkeys(one.layer for one in named)), sides=("in",)), spare)
    for number, claim in enumerate(run.claims):
        inputs = reaching.get((claim.finding.layer, claim.finding.call))
        if inputs and claim.finding in named:
            message = f"{claim.finding.message}; what enters this call comes from {' and '.join(map(repr, inputs))}"
            run.claims[number] = replace(claim, finding=replace(claim.finding, message=message))


def _reaching(run: Run, taps: Taps, spare: Batch | None) -> dict[Call, tuple[str, ...]]:
    base: dict[Tap, np.ndarray] = {}

    def keep(layer: str, call: int, port: str, array: np.ndarray) -> None:
        base[layer, call, port] = np.array(array, copy=True)

    run.step("looking at every call of a shared layer")
    try:
        run.session.capture(run.batch, taps, keep, stop=True)
    except ModelRunError:
        return {}
    return inputs_of_calls(run.session, run.batch, taps, base, seed=0, spare=spare, progress=run.step)
