"""What the files without end of ``tests/bad_files/`` take at most: to be described and scanned, or refused.

Run as ``python endless.py time|memory``; each file in a process of its own, forked anew, and the one that takes most
counts. Prints one JSON object.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
import tempfile
from functools import partial
from importlib import import_module
from pathlib import Path

import h5py  # noqa: F401  (once, for all forks)

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bad_files import endless, no_models

from kmr_cli.errors import ModelFileError
from kmr_cli.formats import describe
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.scan.scan import scan
from processes import against_limit, forked, is_disturbed

for _format in ("exported", "keras", "onnx", "savedmodel", "torchscript"):
    import_module(f"kmr_cli.formats.{_format}.scan.look")
ALLOWED = {"time": 2.0, "memory": 200.0}
"""Seconds, and MB."""
RUNS = 3


def read(path: Path) -> None:
    """As a command does that is given this file."""
    for step in (lambda: describe(path, OpenOptions()), lambda: scan(path)):
        with contextlib.suppress(ModelFileError):
            step()


def main() -> None:
    """Measure, and print."""
    what = sys.argv[1]
    worst: tuple[list[float], bool, str] | None = None
    cases = [*endless.CASES, *no_models.CASES]
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            path = case.build(Path(folder))
            runs = [forked(partial(read, path)) for _ in range(RUNS)]
        by_cpu = what == "time" and is_disturbed(runs)
        found = [run.peak if what == "memory" else run.cpu if by_cpu else run.wall for run in runs]
        if worst is None or statistics.median(found) >= statistics.median(worst[0]):
            worst = (found, by_cpu, case.name)
    assert worst is not None
    found, by_cpu, name = worst
    ratio = against_limit(found, ALLOWED[what], by_cpu=by_cpu)
    print(json.dumps({"ratio": ratio.as_dict(), "note": f"{name}; of {len(cases)} files"}))


if __name__ == "__main__":
    main()
