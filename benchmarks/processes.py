"""Two sides against each other, alternated on one core: whole processes, or calls in one process."""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_UNDISTURBED = 0.7
"""Share of its time that a side must have worked: otherwise the machine was busy elsewhere."""


@dataclass(frozen=True)
class Run:
    """One finished side: wall and CPU seconds, those of its children included; peak resident memory in MB."""

    wall: float
    cpu: float
    peak: float = 0.0

    @property
    def undisturbed(self) -> bool:
        """Whether it worked most of the time."""
        return self.cpu >= _UNDISTURBED * self.wall


@dataclass(frozen=True)
class Ratio:
    """Medians over pairs of runs; of CPU time where the machine was too busy for any other."""

    ours: float
    theirs: float
    ratio: float
    low: float
    high: float
    peak: float = 0.0
    pairs: int = 1
    their_peak: float = 0.0
    by_cpu: bool = False

    def as_dict(self) -> dict[str, float]:
        """For one process to hand to another."""
        return asdict(self)


def environment() -> dict[str, str]:
    """One thread, no GPU, a quiet TensorFlow; modules are compiled once, as where the program is installed."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    found = {**os.environ, **one, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    found.pop("PYTHONDONTWRITEBYTECODE", None)
    return found


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


def timed(call: Callable[[], object]) -> Run:
    """One call in this process."""
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return Run(time.perf_counter() - wall, time.process_time() - cpu)


def forked(call: Callable[[], object]) -> Run:
    """One call in a fork of this process, where all is imported; its peak is what it adds to the memory that is there.

    Raises:
        RuntimeError: it failed.
    """
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            before = _peak()
            run = timed(call)
            os.write(there, json.dumps([run.wall, run.cpu, _peak() - before]).encode())
        finally:
            os._exit(0)
    os.close(there)
    told = os.read(here, 1000)
    os.close(here)
    os.waitpid(pid, 0)
    if not told:
        raise RuntimeError("the call failed in its fork")
    return Run(*json.loads(told))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def against_limit(taken: Sequence[float], limit: float, *, by_cpu: bool = False) -> Ratio:
    """What several runs took, as a share of what they may take."""
    ours = statistics.median(taken)
    return Ratio(
        ours, limit, ours / limit, min(taken) / limit, max(taken) / limit, pairs=len(taken), by_cpu=by_cpu
    )  # fmt: skip


def is_disturbed(runs: Sequence[Run]) -> bool:
    """Whether others used the machine meanwhile, so that CPU time says more than wall time."""
    return sum(run.undisturbed for run in runs) * 2 < len(runs)


def alternate(ours: Callable[[], Run], theirs: Callable[[], Run], *, pairs: int) -> Ratio:
    """Medians of the pairs' ratios.

    A pair of which one side waited for the machine is thrown away and repeated, at most as often again as there are
    pairs. Where that leaves too few, CPU time counts instead, of all pairs.
    """
    taken: list[tuple[Run, Run]] = []
    kept: list[tuple[Run, Run]] = []
    while len(kept) < pairs and len(taken) < 2 * pairs and not (len(taken) == pairs and 2 * len(kept) < pairs):
        pair = ours(), theirs()
        taken.append(pair)
        if all(run.undisturbed for run in pair):
            kept.append(pair)
    by_cpu = len(kept) < pairs
    chosen = taken if by_cpu else kept
    times = [(a.cpu, b.cpu) if by_cpu else (a.wall, b.wall) for a, b in chosen]
    ratios = sorted(a / b for a, b in times)
    return Ratio(
        statistics.median(a for a, _ in times),
        statistics.median(b for _, b in times),
        statistics.median(ratios),
        ratios[0],
        ratios[-1],
        max(a.peak for a, _ in chosen),
        len(chosen),
        max(b.peak for _, b in chosen),
        by_cpu,
    )


def compare(ours: Sequence[str], theirs: Sequence[str], *, pairs: int, written: Sequence[Path] = ()) -> Ratio:
    """Alternate two commands, one warm-up pair first; what a run has ``written`` is gone before the next one starts."""

    def run(command: Sequence[str]) -> Run:
        try:
            return run_once(command)
        finally:
            for path in written:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    run(ours), run(theirs)
    return alternate(lambda: run(ours), lambda: run(theirs), pairs=pairs)


def python(*arguments: str) -> list[str]:
    """A command of this interpreter."""
    return [sys.executable, *arguments]
