"""In one process: `check-batch-axis` on an opened model, against as many bare forward passes at the same sizes.

Run as ``python checks.py time|memory MODEL PAIRS``; prints one JSON object. Memory: how far the process grows at most
(``VmHWM``) above what it holds with the model loaded and run (``VmRSS``), over the bytes of all distinct tapped
tensors of one pass of the same batch. The kernel keeps the peak; it is reset before the check.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import models
from kmr_cli.check.check import check
from kmr_cli.evidence.passes import Evidence
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions, Session, Sink, Taps
from kmr_cli.records import ModelInfo

SIZE = 6
Forward = Callable[[np.ndarray], Any]


def _bare_keras(path: Path) -> Forward:
    import keras

    model = keras.models.load_model(path)
    return lambda images: model(images, training=False)


def _bare_savedmodel(path: Path) -> Forward:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures["serving_default"]
    (name,) = signature.structured_input_signature[1]

    def forward(images: np.ndarray) -> Any:
        assert loaded is not None  # stays referenced here: without it the signature loses its variables
        return {key: value.numpy() for key, value in signature(**{name: tf.constant(images)}).items()}

    return forward


def _bare_torchscript(path: Path) -> Forward:
    import torch

    model = torch.jit.load(str(path)).eval()

    def forward(images: np.ndarray) -> Any:
        with torch.no_grad():
            return model(torch.from_numpy(images))

    return forward


def _bare_exported(path: Path) -> Forward:
    import torch

    model = torch.export.load(path).module()

    def forward(images: np.ndarray) -> Any:
        with torch.no_grad():
            return model(input=torch.from_numpy(images))

    return forward


def _bare_onnx(path: Path) -> Forward:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"input": images})


BARE = {
    "keras": _bare_keras, "savedmodel": _bare_savedmodel, "torchscript": _bare_torchscript, "pt2": _bare_exported,
    "onnx": _bare_onnx,
}  # fmt: skip


class Counting:
    """A session that notes the batch size of every pass."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.inputs, self.layers = session.inputs, session.layers
        self.sizes: list[int] = []

    def capture(
        self, batch: Mapping[str, np.ndarray], taps: Taps, sink: Sink | None = None, *, stop: bool = False
    ) -> Mapping[str, np.ndarray] | None:
        self.sizes.append(len(next(iter(batch.values()))))
        return self._session.capture(batch, taps, sink, stop=stop)

    def close(self) -> None:
        self._session.close()


def opened(path: Path) -> tuple[ModelInfo, Counting, dict[str, np.ndarray]]:
    """The description, the session, a batch."""
    format_ = detect(path)
    info = format_.describe(path, OpenOptions())
    side = models.CHECKED_SIDE
    declared = (info.inputs[0].shape or (None,))[1:]
    shape: tuple[int, ...]
    if declared and None not in declared:
        shape = (SIZE, *(length for length in declared if length is not None))
    else:
        shape = (SIZE, 3, side, side) if info.format in ("torchscript", "pt2", "onnx") else (SIZE, side, side, 3)
    images = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return info, Counting(format_.open(path, OpenOptions())), {info.inputs[0].name: images}


def measure_time(path: Path, pairs: int) -> dict[str, Any]:
    """Median of the pairs' ratios; a pair whose CPU time is below 70 % of its wall time is thrown away."""
    info, session, batch = opened(path)
    (images,) = batch.values()
    report = check(session, info, batch)  # the first check warms up, and tells the sizes
    sizes = list(session.sizes)
    bare = BARE[info.format](path)
    data = {size: images[np.arange(size) % SIZE] for size in set(sizes)}

    def all_bare() -> None:
        for size in sizes:
            bare(data[size])

    all_bare()
    ours, theirs, ratios, attempts = [], [], [], 0
    while len(ratios) < pairs and attempts < 3 * pairs:
        attempts += 1
        times, busy = [], True
        for side in (lambda: check(session, info, batch), all_bare):
            cpu, wall = time.process_time(), time.perf_counter()
            side()
            wall = time.perf_counter() - wall
            busy &= time.process_time() - cpu >= 0.7 * wall
            times.append(wall)
        if busy:
            ours.append(times[0])
            theirs.append(times[1])
            ratios.append(times[0] / times[1])
    if not ratios:
        raise RuntimeError("every run was disturbed")
    return {
        "ratio": statistics.median(ratios), "low": min(ratios), "high": max(ratios), "pairs": len(ratios),
        "ours": statistics.median(ours), "theirs": statistics.median(theirs),
        "note": f"{report.verdict}: {len(sizes)} passes of batches of {', '.join(map(str, dict.fromkeys(sizes)))}",
    }  # fmt: skip


def measure_memory(path: Path) -> dict[str, Any]:
    """Bytes that a check adds, and the bytes of one set of activations."""
    info, session, batch = opened(path)
    taps = Taps(tuple(layer.path for layer in session.layers if not layer.untappable))
    session.capture(batch, taps, lambda *_: None)
    gc.collect()
    _trim()
    before = _status("VmRSS")
    _reset_peak()
    check(session, info, batch)
    added = _status("VmHWM") - before
    evidence = Evidence(SIZE)
    evidence.record(session, batch, taps)
    ratio = added / evidence.nbytes
    note = f"batch of {SIZE}, {len(evidence.canonical)} values"
    figures = {
        "ours": added / 1e6,
        "theirs": evidence.nbytes / 1e6,
        "ratio": ratio,
        "low": ratio,
        "high": ratio,
        "pairs": 1,
    }
    return {**figures, "note": note}


def _status(key: str) -> int:
    """In bytes, from the kernel."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {key}")


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _trim() -> None:
    """Give what is freed back to the system: otherwise the check would live on it for nothing."""
    ctypes.CDLL(None).malloc_trim(0)


if __name__ == "__main__":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    chosen = (models.CHECKED | models.RECURRENT | models.MIXING)[sys.argv[2]]
    print(json.dumps(measure_time(chosen, int(sys.argv[3])) if sys.argv[1] == "time" else measure_memory(chosen)))
