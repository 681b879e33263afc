"""In one process: `check-batch-axis` on an opened model, against as many bare forward passes at the same sizes.

Run as ``python checks.py KIND MODEL PAIRS``; prints one JSON object. KIND is

- ``time``;
- ``memory``: how far the process grows at most (``VmHWM``) above what it holds with the model loaded and run
  (``VmRSS``), over the bytes of all distinct tapped tensors of one pass of that batch, where no larger one is tried;
- ``memory of the large batch``: the same with the batch of 32 or more, over how far another process grows in one bare
  pass of such a batch (``bare``, with the size in place of PAIRS).

The kernel keeps the peak; it is reset before the check.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import models
from kmr_cli.check.check import Policy, check
from kmr_cli.check.probes.large import AT_LEAST
from kmr_cli.evidence.passes import Evidence
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions, Session, Sink, Taps
from kmr_cli.records import ModelInfo
from memory import peak, settled
from processes import Ratio, alternate, environment, python, timed

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
    kept = path.with_suffix(".npy")
    return info, Counting(format_.open(path, OpenOptions())), {
        info.inputs[0].name: np.load(kept)[:SIZE] if kept.exists() else _made_up(info)
    }  # fmt: skip


def _made_up(info: ModelInfo) -> np.ndarray:
    side = models.CHECKED_SIDE
    declared = (info.inputs[0].shape or (None,))[1:]
    shape: tuple[int, ...]
    if declared and None not in declared:
        shape = (SIZE, *(length for length in declared if length is not None))
    else:
        shape = (SIZE, 3, side, side) if info.format in ("torchscript", "pt2", "onnx") else (SIZE, side, side, 3)
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def measure_time(path: Path, pairs: int) -> dict[str, Any]:
    """The whole check, against as many bare passes."""
    info, session, batch = opened(path)
    (given,) = batch.values()
    report = check(session, info, batch)  # the first check warms up, and tells the sizes
    sizes = list(session.sizes)
    bare = BARE[info.format](path)
    data = {size: given[np.arange(size) % SIZE] for size in set(sizes)}

    def all_bare() -> None:
        for size in sizes:
            bare(data[size])

    all_bare()
    found = alternate(lambda: timed(lambda: check(session, info, batch)), lambda: timed(all_bare), pairs=pairs)
    values = len(_activations(session, batch).canonical)
    note = f"{report.verdict}: {len(sizes)} passes of batches of {', '.join(map(str, dict.fromkeys(sizes)))}"
    return {"ratio": found.as_dict(), "note": f"{note}; {values} values"}


def measure_memory(path: Path) -> dict[str, Any]:
    """Bytes that a check adds, and the bytes of one set of activations."""
    _, session, batch, added = _checked(path, Policy(batch_sizes=(1, 2, 3, SIZE - 1)))
    evidence = _activations(session, batch)
    whole, note = evidence.nbytes, f"batch of {max(session.sizes)}, {len(evidence.canonical)} values"
    return {"ratio": _ratio(added, whole).as_dict(), "note": note}


def measure_large(path: Path, model: str) -> dict[str, Any]:
    """Bytes that a check with a large batch adds, and those that one bare pass of that batch adds elsewhere."""
    _, session, _, added = _checked(path, Policy())
    largest = max(session.sizes)
    if largest < AT_LEAST:
        raise RuntimeError(f"the largest batch was of {largest}")
    bare = subprocess.run(
        python(__file__, "bare", model, str(largest)), env=environment(), capture_output=True, text=True, check=True
    )
    return {"ratio": _ratio(added, json.loads(bare.stdout)).as_dict(), "note": f"batch of {largest}"}


def measure_bare(path: Path, size: int) -> int:
    """Bytes that one bare pass of so many samples adds to what the process holds after one of a few."""
    info, session, batch = opened(path)
    session.close()
    (given,) = batch.values()
    bare = BARE[info.format](path)
    bare(given)
    data = given[np.arange(size) % SIZE]
    before = settled()
    bare(data)
    return peak() - before


def _checked(path: Path, policy: Policy) -> tuple[ModelInfo, Counting, dict[str, np.ndarray], int]:
    """The model, its session with the sizes of the check, the batch, and the bytes that the check added."""
    info, session, batch = opened(path)
    session.capture(batch, _taps(session), lambda *_: None)
    before = settled()
    session.sizes.clear()
    check(session, info, batch, policy=policy)
    return info, session, batch, peak() - before


def _ratio(ours: float, theirs: float) -> Ratio:
    return Ratio(ours / 1e6, theirs / 1e6, *[ours / theirs] * 3)


def _taps(session: Counting) -> Taps:
    return Taps(tuple(layer.path for layer in session.layers if not layer.untappable))


def _activations(session: Counting, batch: Mapping[str, np.ndarray]) -> Evidence:
    evidence = Evidence(SIZE)
    evidence.record(session, batch, _taps(session))
    return evidence


if __name__ == "__main__":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    kind, model, number = sys.argv[1:]
    chosen = (models.CHECKED | models.RECURRENT | models.MIXING | models.MIDDLE)[model]
    if kind == "time":
        measured: object = measure_time(chosen, int(number))
    elif kind == "bare":
        measured = measure_bare(chosen, int(number))
    else:
        measured = measure_large(chosen, model) if "large" in kind else measure_memory(chosen)
    print(json.dumps(measured))
