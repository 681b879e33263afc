"""What a scan costs beyond reading the file: of the sample models, and of large ones. In one process, forked anew.

Run as ``python scans.py time|memory PATH…``; of several files the one that takes most counts. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import time
from importlib import import_module
from pathlib import Path

import h5py  # noqa: F401  (once, for all forks)

from kmr_cli.formats.files import inside
from kmr_cli.scan.scan import scan

for _format in ("exported", "keras", "onnx", "savedmodel", "torchscript"):
    import_module(f"kmr_cli.formats.{_format}.scan.look")
ALLOWED = {"time": {True: 0.05, False: 0.3}, "memory": {True: 80.0, False: 80.0}}
"""Seconds beyond reading, and MB; of sample models, and of others."""
RUNS = 7


def measured(path: Path) -> tuple[float, float]:
    """Seconds beyond reading the file's bytes, and MB of resident memory that a scan adds."""
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        assert scan(path).verdict == "pass"
        took = time.perf_counter() - began
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        files = [file for _, file in inside(path)] if path.is_dir() else [path]
        began = time.perf_counter()
        for file in files:
            with file.open("rb") as opened:
                while opened.read(1 << 20):
                    pass
        took -= time.perf_counter() - began
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
    what, paths = sys.argv[1], [Path(name) for name in sys.argv[2:]]
    worst: tuple[list[float], Path] = ([0.0], paths[0])
    for path in paths:
        found = [measured(path)[what == "memory"] for _ in range(RUNS)]
        if statistics.median(found) >= statistics.median(worst[0]):
            worst = (found, path)
    found, path = worst
    allowed = ALLOWED[what]["sample_models" in path.parts]
    ours = statistics.median(found)
    ratio = {"ours": ours, "theirs": allowed, "ratio": ours / allowed, "low": min(found) / allowed,
             "high": max(found) / allowed, "pairs": RUNS}  # fmt: skip
    print(json.dumps({"ratio": ratio, "note": path.name if len(paths) > 1 else ""}))


if __name__ == "__main__":
    main()
