"""What a scan costs beyond reading the file: of the sample models, and of large ones. In one process, forked anew.

Run as ``python scans.py time|memory PATH…``; of several files the one that takes most counts. Prints one JSON object.
"""

from __future__ import annotations

import json
import statistics
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

import h5py  # noqa: F401  (once, for all forks)

from kmr_cli.formats.files import inside
from kmr_cli.scan.scan import scan
from processes import Run, against_limit, forked, is_disturbed, timed

for _format in ("exported", "keras", "onnx", "savedmodel", "torchscript"):
    import_module(f"kmr_cli.formats.{_format}.scan.look")
ALLOWED = {"time": {True: 0.05, False: 0.3}, "memory": {True: 80.0, False: 80.0}}
"""Seconds beyond reading, and MB; of sample models, and of others."""
RUNS = 7


def passes(path: Path) -> None:
    """Scan a file in which nothing is found."""
    assert scan(path).verdict == "pass"


def read(path: Path) -> None:
    """The bytes of a file, or of all in a folder."""
    for file in [file for _, file in inside(path)] if path.is_dir() else [path]:
        with file.open("rb") as opened:
            while opened.read(1 << 20):
                pass


def measured(path: Path) -> tuple[list[Run], list[Run]]:
    """Runs of a scan, whose peak is the resident memory that it adds, and of reading the file's bytes."""
    pairs = [(forked(partial(passes, path)), timed(partial(read, path))) for _ in range(RUNS)]
    return [scanned for scanned, _ in pairs], [bare for _, bare in pairs]


def main() -> None:
    """Measure, and print."""
    what, paths = sys.argv[1], [Path(name) for name in sys.argv[2:]]
    worst: tuple[list[float], bool, Path] | None = None
    for path in paths:
        scanned, bare = measured(path)
        by_cpu = what == "time" and is_disturbed(scanned)
        if what == "memory":
            found = [run.peak for run in scanned]
        elif by_cpu:
            found = [one.cpu - other.cpu for one, other in zip(scanned, bare, strict=True)]
        else:
            found = [one.wall - other.wall for one, other in zip(scanned, bare, strict=True)]
        if worst is None or statistics.median(found) >= statistics.median(worst[0]):
            worst = (found, by_cpu, path)
    assert worst is not None
    found, by_cpu, path = worst
    ratio = against_limit(found, ALLOWED[what]["sample_models" in path.parts], by_cpu=by_cpu)
    print(json.dumps({"ratio": ratio.as_dict(), "note": path.name if len(paths) > 1 else ""}))


if __name__ == "__main__":
    main()
