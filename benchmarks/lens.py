"""In one process: what all layers hold for all samples, each proven to be its sample's, against TorchLens' ``trace``.

Both hold the same network and a batch of four images of 64 pixels, and keep every value of the pass. Memory is how far
the process grows at most beyond what it holds once both have run. Run as ``python lens.py``; prints one JSON object.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import models
from kmr_cli import open_model
from memory import peak, settled
from processes import Ratio, Run, alternate, timed

PAIRS = 15
SAMPLES = 4


def measure() -> dict[str, Any]:
    """Time and memory, and what was kept."""
    import torch
    import torchlens

    from torch_models import resnet18

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = resnet18()
    images = np.load(models.SMALL_IMAGES)[:SAMPLES]
    batch = torch.from_numpy(images)
    with open_model(models.RESNET18_PT2, in_process=True) as model, torch.no_grad():

        def ours() -> Any:
            return model.sample("*", slice(0, SAMPLES), images, side="out")

        def theirs() -> Any:
            return torchlens.trace(network, batch)

        for _ in range(2):
            records, trace = ours(), theirs()
        assert all(record.sample is not None for record in records)
        proven = sum(record.index.proven for record in records)
        note = f"{len(records)} records, {proven} of them proven by the graph; their trace: {len(trace.layers)} layers"
        del records, trace
        time = alternate(lambda: _timed(ours), lambda: _timed(theirs), pairs=PAIRS)
        grown = [(_growth(ours), _growth(theirs)) for _ in range(3)]
    mine, others = (statistics.median(side) / 1e6 for side in zip(*grown, strict=True))
    ratios = sorted(one / other for one, other in grown)
    memory = Ratio(mine, others, mine / others, ratios[0], ratios[-1], pairs=len(grown))
    return {"time": time.as_dict(), "memory": memory.as_dict(), "note": note}


def _timed(call: Callable[[], Any]) -> Run:
    gc.collect()  # what the other side left is not collected in this one's time
    return timed(call)


def _growth(call: Callable[[], Any]) -> int:
    """Bytes that a call adds at most, its result included."""
    before = settled()
    kept = call()
    assert kept
    return peak() - before


if __name__ == "__main__":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(json.dumps(measure()))
