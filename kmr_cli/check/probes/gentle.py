"""Passes in which one sample changes a little, so that rows stay where they are: they show which rows it moves."""

from __future__ import annotations

import numpy as np

from kmr_cli.arrays.dtypes import discrete
from kmr_cli.arrays.ulp import beyond_last_bits
from kmr_cli.check.run import Run
from kmr_cli.evidence.reach import SINGLY
from kmr_cli.evidence.taps import Tap, watch

_SHARE = 1 / 16
"""By how much of themselves a sample's numbers grow: all keep their sign and their order."""


def entangled_rows(run: Run) -> set[Tap]:
    """The taps of which one row changes with several samples, among those whose rows no other pass could tell apart.

    Where what the samples hold decides how many rows there are, replacing one moves all the rows behind its own.
    Up to nine passes; nothing is found where all inputs are discrete.
    """
    inputs = [name for name, array in run.batch.items() if array.dtype.kind == "f"]
    if not inputs:
        return set()
    wanted = {
        tap for tap in run.evidence.order if run.indices[tap].axis is None and not discrete(run.evidence.specs[tap])
    }
    before: dict[Tap, np.ndarray] = {}
    movers: dict[Tap, np.ndarray] = {}

    def keep(layer: str, call: int, port: str, array: np.ndarray) -> None:
        if (layer, call, port) in wanted:
            before[layer, call, port] = np.array(array)

    def look(layer: str, call: int, port: str, array: np.ndarray) -> None:
        old = before.get((layer, call, port))
        if old is not None and old.shape == array.shape and old.size:
            moved = beyond_last_bits(old, array)
            rows = moved.reshape(len(array) if array.ndim else 1, -1).any(1).astype(np.int64)
            movers[layer, call, port] = movers.get((layer, call, port), 0) + rows

    run.step("looking for the layer")
    watch(run.session, run.batch, run.taps, keep)
    for sample in range(min(run.evidence.size, SINGLY)):
        data = dict(run.batch)
        for name in inputs:
            data[name] = np.array(data[name])
            data[name][sample] *= data[name].dtype.type(1 + _SHARE)
        run.step(f"changing sample {sample} a little")
        watch(run.session, data, run.taps, look)
    return {tap for tap, count in movers.items() if (count > 1).any()}
