"""In a process that holds TensorFlow, as a notebook does: ``open_model``, the first time and again.

Such a process can't be forked, so that the first model starts a fresh interpreter for the work; the second finds the
next one started already. Both are held against what a fresh interpreter takes to import what the program needs.
Run as ``python notebook.py PAIRS``; prints one JSON object.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import models
from processes import environment

FRESH = [sys.executable, "-c", "import click, google.protobuf, h5py, numpy, rich"]


def once() -> dict[str, float]:
    """One notebook: seconds for a fresh interpreter, for the first model, and for the second."""
    import tensorflow  # noqa: F401  (a notebook that holds it is what is measured)

    from kmr_cli import open_model

    def seconds_to_open(path: Path) -> float:
        start = time.perf_counter()
        model = open_model(path)
        taken = time.perf_counter() - start
        assert model.layers
        model.close()
        return taken

    start = time.perf_counter()
    subprocess.run(FRESH, check=True)
    fresh = time.perf_counter() - start
    first = seconds_to_open(models.RESNET50)
    time.sleep(2)  # a person looks at what it shows, and the next interpreter starts meanwhile
    return {"fresh": fresh, "first": first, "second": seconds_to_open(models.RESNET50)}


def measure(pairs: int) -> dict[str, dict[str, float]]:
    """Medians of so many notebooks, each a process of its own."""
    runs = []
    for _ in range(pairs):
        command = [sys.executable, __file__, "once"]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    found = {}
    for which in ("first", "second"):
        ratios = sorted(run[which] / run["fresh"] for run in runs)
        found[which] = {
            "ours": statistics.median(run[which] for run in runs),
            "theirs": statistics.median(run["fresh"] for run in runs),
            "ratio": statistics.median(ratios),
            "low": ratios[0],
            "high": ratios[-1],
        }
    return found


if __name__ == "__main__":
    print(json.dumps(once() if sys.argv[1] == "once" else measure(int(sys.argv[1]))))
