"""Does the same batch give the same values, and if not: is it chance, or something kept between calls?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kmr_cli import replacement
from kmr_cli.batch_index import changed
from kmr_cli.blame import find_sources
from kmr_cli.check_run import Run
from kmr_cli.formats import Session, Taps, training_mode
from kmr_cli.records import Batch


def judge_determinism(run: Run, reopen: Callable[[], Session] | None) -> None:
    """KMR301, KMR302: what the same batch gives twice, on one loaded instance."""
    restless = run.evidence.restless
    if not restless:
        return
    code = "KMR302" if reopen is not None and _remembers(run, reopen) else "KMR301"
    words = {
        "KMR301": "the same batch twice gives different values",
        "KMR302": "the same batch gives other values after other calls: something is kept between calls",
    }
    for source in find_sources(run.evidence.order, restless.__contains__, run.info.separator):
        run.add(code, source, words[code])
    for tap in run.outputs:
        if tap in restless:
            run.unproven.append(f"{run.title(tap)} changes from run to run, so nothing can be told from it")


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
    """Whether the second result of a fresh model depends on what its first batch was, and on nothing else.

    Random numbers that a fresh model draws in the same order every time depend on the number of calls alone.
    """

    def results_of(*batches: Batch) -> list[list[np.ndarray]]:
        fresh = reopen()
        results = []
        try:
            for data in batches:
                run.step("telling state from chance")
                outputs = fresh.capture(data, Taps(()), None)
                assert outputs is not None
                results.append([np.array(value) for value in outputs.values()])
        finally:
            fresh.close()
        return results

    first, second = results_of(run.batch, run.batch)
    (again,) = results_of(run.batch)
    if not _alike(first, again):
        return False  # chance, with no history at all
    other = replacement.replace(run.batch, range(run.evidence.size), run.session.inputs, run.rng)
    return not _alike(second, results_of(other, run.batch)[1])


def _alike(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(
        a.shape == b.shape and not changed(a, b).any() for a, b in zip(first, second, strict=True)
    )  # fmt: skip
