"""Does the same batch give the same values, and if not: is it chance, or something kept between calls?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.arrays.dtypes import discrete
from kmr_cli.arrays.ulp import distance
from kmr_cli.batch import replacement, stress
from kmr_cli.check.run import Run
from kmr_cli.formats.interface import Session, Taps, training_mode
from kmr_cli.records import Batch


def look_for_state(run: Run, reopen: Callable[[], Session] | None) -> None:
    """Where values differ from run to run, whether that is state: fills in ``remembers``. Four passes, or none."""
    if run.evidence.nondeterministic and reopen is not None:
        run.remembers = _remembers(run, reopen)


def find_noise(run: Run) -> int:
    """One pass with other random numbers, if the model is in training mode: what they reach. How many were run."""
    mode = training_mode(run.session)
    if mode is None:
        return 0
    run.step("drawing other random numbers")
    mode.noise += 1
    try:
        run.noisy = run.evidence.differing(run.session, run.batch, run.taps)
    finally:
        mode.noise -= 1
    return 1


def _remembers(run: Run, reopen: Callable[[], Session]) -> bool:
    """Whether the second result of a fresh model depends on its first call, and not on chance.

    Random numbers that a fresh model draws in the same order every time depend on the number of calls alone, as a
    counter does. But they differ from sample to sample.
    """

    def results_of(*batches: Batch) -> list[list[np.ndarray]]:
        fresh = reopen()
        results = []
        try:
            for data in batches:
                run.step("distinguishing state from chance")
                outputs = fresh.capture(data, Taps(()), None)
                assert outputs is not None
                results.append([np.array(value) for value in outputs.values()])
        finally:
            fresh.close()
        return results

    first, second = results_of(run.batch, run.batch)
    same = stress.alike(replacement.replace(run.batch, range(run.evidence.size), run.session.inputs, run.rng), 0)
    again, copies = results_of(run.batch, same)
    if not _alike(first, again):
        return False  # chance, with no history at all
    copies_first, late = results_of(same, run.batch)
    return _treated_alike(copies_first, copies, run.evidence.size) or not _alike(second, late)


def _treated_alike(first: list[np.ndarray], second: list[np.ndarray], size: int) -> bool:
    """Whether copies of one sample come out otherwise by a later call, but all of them alike, but for rounding.

    Where they come out as before nothing is learned: mixing copies with each other, at random, changes nothing.
    """
    found = False
    for before, after in zip(first, second, strict=True):
        if discrete(after) or (before.shape == after.shape and distance(before, after) is not None):
            continue
        if not after.ndim or len(after) % size or not len(after):
            return False  # whose is what?
        parts = after.reshape(size, -1)
        if distance(np.broadcast_to(parts[0], parts.shape), parts) is None:
            return False
        found = True
    return found


def _alike(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(
        a.shape == b.shape and not changed(a, b).any() for a, b in zip(first, second, strict=True)
    )  # fmt: skip
