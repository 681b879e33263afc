"""Whole processes against each other: alternated, pinned to one core, judged by their own CPU time."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """One finished process: wall and CPU seconds, peak resident memory in MB."""

    wall: float
    cpu: float
    peak: float


@dataclass(frozen=True)
class Ratio:
    """Medians over pairs of runs."""

    ours: float
    theirs: float
    ratio: float
    low: float
    high: float
    peak: float
    pairs: int
    their_peak: float = 0.0


def environment() -> dict[str, str]:
    """One thread, no GPU, a quiet TensorFlow."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**os.environ, **one, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}


def run_once(command: Sequence[str]) -> Run:
    """Run a command, its output thrown away.

    Raises:
        RuntimeError: it failed.
    """
    start = time.perf_counter()
    core = min(os.sched_getaffinity(0))
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(),
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    wall = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {process.returncode}\n{errors.decode()[-2000:]}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def compare(ours: Sequence[str], theirs: Sequence[str], *, pairs: int) -> Ratio:
    """Alternate the two commands, one warm-up pair first, and take medians of the pairs' ratios.

    A pair of which one run waited more than it worked (the machine was busy elsewhere) is thrown away and repeated,
    at most as often again as there are pairs.
    """
    run_once(ours), run_once(theirs)
    kept: list[tuple[Run, Run]] = []
    attempts = 0
    while len(kept) < pairs and attempts < 2 * pairs:
        attempts += 1
        pair = (run_once(ours), run_once(theirs))
        if all(run.cpu >= 0.7 * run.wall for run in pair):
            kept.append(pair)
    if not kept:
        raise RuntimeError(f"every run was disturbed: {' '.join(ours)}")
    ratios = sorted(a.wall / b.wall for a, b in kept)
    return Ratio(
        statistics.median(a.wall for a, _ in kept),
        statistics.median(b.wall for _, b in kept),
        statistics.median(ratios),
        ratios[0],
        ratios[-1],
        max(a.peak for a, _ in kept),
        len(kept),
        max(b.peak for _, b in kept),
    )


def python(*arguments: str) -> list[str]:
    """A command of this interpreter."""
    return [sys.executable, *arguments]
