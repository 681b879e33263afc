"""In one process: a forward pass with every layer (ONNX: every value) tapped and discarded, against the bare one.

Run as ``python forwards.py CASE``, one of :data:`CASES`; prints one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import models
from kmr_cli.formats import detect
from kmr_cli.formats.interface import OpenOptions, Taps
from processes import alternate, timed

PAIRS = 15


def _bare_keras(batch: dict[str, np.ndarray]) -> Callable[[], Any]:
    import keras

    model = keras.models.load_model(models.RESNET50)
    (images,) = batch.values()
    return lambda: model(images, training=False)


def _bare_savedmodel(batch: dict[str, np.ndarray]) -> Callable[[], Any]:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(models.MOBILENET))
    signature = loaded.signatures["serving_default"]
    tensors = {name: tf.constant(values) for name, values in batch.items()}

    def forward() -> Any:
        assert loaded is not None  # stays referenced here: without it the signature loses its variables
        return {name: value.numpy() for name, value in signature(**tensors).items()}

    return forward


def _bare_torchscript(batch: dict[str, np.ndarray]) -> Callable[[], Any]:
    import torch

    model = torch.jit.load(str(models.RESNET18)).eval()
    (images,) = (torch.from_numpy(values) for values in batch.values())

    def forward() -> Any:
        with torch.no_grad():
            return model(images)

    return forward


def _bare_exported(path: Path) -> Callable[[dict[str, np.ndarray]], Callable[[], Any]]:
    def make(batch: dict[str, np.ndarray]) -> Callable[[], Any]:
        import torch

        model = torch.export.load(path).module()
        (values,) = (torch.from_numpy(values) for values in batch.values())

        def forward() -> Any:
            with torch.no_grad():
                return model(input=values)

        return forward

    return make


def _bare_onnx(path: Path) -> Callable[[dict[str, np.ndarray]], Callable[[], Any]]:
    def make(batch: dict[str, np.ndarray]) -> Callable[[], Any]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, batch)

    return make


CASES = {
    "keras": (models.RESNET50, models.IMAGES, _bare_keras),
    "savedmodel": (models.MOBILENET, models.IMAGES, _bare_savedmodel),
    "torchscript": (models.RESNET18, models.IMAGES_FIRST, _bare_torchscript),
    "pt2-resnet": (models.RESNET18_PT2, models.IMAGES_FIRST, _bare_exported(models.RESNET18_PT2)),
    "pt2-bert": (models.BERT_PT2, models.VECTORS, _bare_exported(models.BERT_PT2)),
    "onnx-resnet": (models.OPERATORS[models.RESNET18_ONNX], models.IMAGES_FIRST, _bare_onnx(models.RESNET18_ONNX)),
    "onnx-bert": (models.OPERATORS[models.BERT_ONNX], models.VECTORS, _bare_onnx(models.BERT_ONNX)),
}


def measure(
    path: Path, images: Path, make_bare: Callable[[dict[str, np.ndarray]], Callable[[], Any]]
) -> dict[str, Any]:
    """Medians of pairs, and what was tapped."""
    format_ = detect(path)
    info = format_.describe(path, OpenOptions())
    session = format_.open(path, OpenOptions())
    taps = Taps(tuple(layer.path for layer in info.layers if not layer.untappable))
    batch = {info.inputs[0].name: np.load(images)}
    seen = 0

    def discard(layer: str, call: int, port: str, array: np.ndarray) -> None:  # noqa: ARG001
        nonlocal seen
        seen += 1

    bare = make_bare(batch)
    for _ in range(3):
        session.capture(batch, taps, discard)
        bare()
    seen = passes = 0

    def tapped() -> None:
        nonlocal passes
        passes += 1
        session.capture(batch, taps, discard)

    found = alternate(lambda: timed(tapped), lambda: timed(bare), pairs=PAIRS)
    return {"ratio": found.as_dict(), "layers": len(taps.layers), "values": seen // passes}


if __name__ == "__main__":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(json.dumps(measure(*CASES[sys.argv[1]])))
