"""A sample of which a part is missing, beside two different sets of others: whose values fill the gaps?"""

from __future__ import annotations

import numpy as np

from kmr_cli.arrays.digests import digest
from kmr_cli.arrays.ulp import FAR, largest, scaled_distance
from kmr_cli.batch import replacement, stress
from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.taps import Tap, watch
from kmr_cli.records import Batch

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
    found: dict[Tap, int] = {}
    try:
        before = _parts(run, data, sample)
        after = _parts(run, replacement.replace(data, others, run.session.inputs, run.rng), sample)
    except ModelRunError as exc:
        run.refused.append(f"a sample of which a part is missing (the model fails on NaN: {exc.message})")
        return {}
    for tap, part in before.items():
        other = after.get(tap, part)
        if isinstance(part, np.ndarray) and isinstance(other, np.ndarray) and part.shape == other.shape:
            found[tap] = int(scaled_distance(part, other, largest(run.evidence.base[tap])).max(initial=0))
        elif not isinstance(part, np.ndarray) and part != other:
            found[tap] = FAR
    return {tap: distance for tap, distance in found.items() if distance}


def _parts(run: Run, data: Batch, sample: int) -> dict[Tap, np.ndarray | bytes]:
    """What belongs to a sample in one pass: of outputs the values, inside digests, in which one NaN equals another."""
    parts: dict[Tap, np.ndarray | bytes] = {}

    def look(layer: str, call: int, port: str, array: np.ndarray) -> None:
        tap: Tap = (layer, call, port)
        index = run.whose(tap) if tap in run.indices else None
        spec = run.evidence.specs.get(tap)
        if index is None or index.axis is None or spec is None or spec.shape != array.shape:
            return
        part = np.take(array, [place for place, owner in enumerate(index.owners) if owner == sample], index.axis)
        if part.dtype.kind in "fc":
            part[np.isnan(part)] = np.nan
        parts[tap] = digest(part) if layer else part

    run.step("leaving out a part of a sample")
    watch(run.session, data, run.taps, look)
    return parts
