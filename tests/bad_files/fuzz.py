"""Reads changed files, thousands of them: ``python -m bad_files.fuzz READER FIRST COUNT`` prints what went wrong.

Each batch is read in a fork, with a clock and a limit of memory: a reader that crashes or hangs costs one file.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py  # noqa: F401  (once, for all forks)
import numpy as np  # noqa: F401

from bad_files import mutations
from kmr_cli.errors import KmrError
from kmr_cli.formats import describe, detect
from kmr_cli.formats.interface import OpenOptions, optional
from kmr_cli.proof import verdict
from kmr_cli.scan.scan import scan

SECONDS = 3.0
"""Of CPU time for one thing that is done with one file."""
MEMORY = 400_000_000
"""Bytes above those that the program takes itself."""
_BATCH = 500


def graph(path: Path) -> None:
    """What the proof reads of a file that holds its graph."""
    format_ = detect(path)
    read = optional(format_, "graph")
    if read is not None and not optional(format_, "TRACED"):
        verdict.prove(read(path, OpenOptions()))


READERS: dict[str, Callable[[Path], object]] = {
    "describe": lambda path: describe(path, OpenOptions()),
    "scan": scan,
    "graph": graph,
}


def failures(kind: str, first: int, count: int) -> Iterator[str]:
    """A line for each file that ended in anything but an answer or an error of this program's own."""
    seed, end = first, first + count
    while seed < end:
        batch = range(seed, min(seed + _BATCH, end))
        told, status = _forked(kind, batch)
        lines = told.splitlines()
        begun = [line for line in lines if line.startswith("> ")]
        yield from (line for line in lines if not line.startswith("> "))
        if status:
            number = int(begun[-1].split()[1]) if begun else seed
            what = signal.Signals(-status).name if status < 0 else f"exit {status}"
            yield f"{kind} {number} {begun[-1].split()[2] if begun else '?'}: {what}"
            seed = number + 1
        else:
            seed = batch.stop


def _forked(kind: str, batch: range) -> tuple[str, int]:
    with tempfile.TemporaryFile() as told, tempfile.TemporaryDirectory() as folder:
        pid = os.fork()
        if pid == 0:
            code = 1
            with contextlib.suppress(BaseException):
                _read(kind, batch, Path(folder), told.fileno())
                code = 0
            os._exit(code)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        told.seek(0)
        return told.read().decode(errors="replace"), status


def _read(kind: str, batch: range, folder: Path, told: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 2)
    for seed in batch:
        home = folder / str(seed)
        home.mkdir()
        path = mutations.write(kind, seed, home)
        for name, reader in READERS.items():
            os.write(told, f"> {seed} {name}\n".encode())
            signal.setitimer(signal.ITIMER_PROF, SECONDS)  # whose signal ends the process, in libraries too
            try:
                reader(path)
            except KmrError as exc:
                if "\n" in exc.message or len(exc.message) > 2000:
                    os.write(told, f"{kind} {seed} {name}: message {exc.message[:200]!r}\n".encode())
            except BaseException as exc:
                frames = traceback.extract_tb(exc.__traceback__)[-4:]
                at = " ".join(f"{Path(one.filename).name}:{one.lineno}" for one in frames)
                os.write(told, f"{kind} {seed} {name}: {type(exc).__name__} {str(exc)[:100]!r} {at}\n".encode())
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
        shutil.rmtree(home)


if __name__ == "__main__":
    for line in failures(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])):
        sys.stdout.write(f"{line}\n")
