"""What the files without end of ``tests/bad_files/`` take at most: to be described and scanned, or refused.

Run as ``python endless.py time|memory``; each file in a process of its own, forked anew, and the one that takes most
counts. Prints one JSON object.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

import h5py  # noqa: F401  (once, for all forks)

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bad_files import endless, no_models

from kmr_cli.errors import ModelFileError
from kmr_cli.formats import describe
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.scan.scan import scan

for _format in ("exported", "keras", "onnx", "savedmodel", "torchscript"):
    import_module(f"kmr_cli.formats.{_format}.scan.look")
ALLOWED = {"time": 2.0, "memory": 200.0}
"""Seconds, and MB."""
RUNS = 3


def measured(path: Path) -> tuple[float, float]:
    """Seconds, and MB of resident memory that reading a file adds."""
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        for read in (lambda: describe(path, OpenOptions()), lambda: scan(path)):
            with contextlib.suppress(ModelFileError):
                read()
        took = time.perf_counter() - began
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        os.write(there, json.dumps([took, (most - before) / 1024]).encode())
        os._exit(0)
    os.close(there)
    told = os.read(here, 1000)
    os.close(here)
    os.waitpid(pid, 0)
    seconds, memory = json.loads(told)
    return seconds, memory


def main() -> None:
    """Measure, and print."""
    what = sys.argv[1]
    worst: tuple[list[float], str] = ([0.0], "")
    cases = [*endless.CASES, *no_models.CASES]
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            path = case.build(Path(folder))
            found = sorted(measured(path)[what == "memory"] for _ in range(RUNS))
        if found[RUNS // 2] >= worst[0][len(worst[0]) // 2]:
            worst = (found, case.name)
    found, name = worst
    allowed, ours = ALLOWED[what], found[RUNS // 2]
    ratio = {"ours": ours, "theirs": allowed, "ratio": ours / allowed, "low": found[0] / allowed,
             "high": found[-1] / allowed, "pairs": RUNS}  # fmt: skip
    print(json.dumps({"ratio": ratio, "note": f"{name}; of {len(cases)} files"}))


if __name__ == "__main__":
    main()
