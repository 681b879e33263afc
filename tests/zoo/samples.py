"""The committed sample models, with their batches and how each is run without this program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from zoo import warm

HOME = Path(__file__).resolve().parents[2] / "sample_models"
COMMAND = Path(sys.executable).parent / "kmr-inspect"
"""The installed command."""
PROGRESS = re.compile(r" …(  \d.*)?$")
"""Of a line that is shown every ten seconds, where the machine is slow."""
DATA = {
    "digits.keras": "digits.npz",
    "digits.onnx": "digits.npz",
    "digits.pt2": "digits.npz",
    "digits.h5": "digits.npz",
    "digits_savedmodel": "digits.npz",
    "digits_scripted.pt": "digits.npz",
    "digits_traced.pt": "digits.npz",
    "pair.keras": "pair.npz",
    "pair.onnx": "pair.npz",
    "pair.pt2": "pair.npz",
    "recommender.keras": "recommender.npz",
    "recommender.h5": "recommender.npz",
    "recommender.pt": "recommender.npz",
    "recommender.pt2": "recommender.npz",
    "recommender.onnx": "recommender.npz",
    "recommender_savedmodel": "recommender.npz",
    "sequence.keras": "sequence.npz",
    "sequence.onnx": "sequence.npz",
    "sequence.pt2": "sequence.npz",
    "transformer.keras": "digits.npz",
    "transformer.onnx": "digits.npz",
    "transformer.pt2": "digits.npz",
    "windows.keras": "digits.npz",
    "windows.onnx": "digits.npz",
    "windows.pt": "digits.npz",
    "windows.pt2": "digits.npz",
}

LAST = dict.fromkeys((name for name in DATA if name.startswith("recommender")), "top")
"""The layer that gives each model's outputs; ``head`` for all that are not here."""


def command(arguments: Iterable[Any], cwd: Any = None, timeout: float = 120, **environment: str) -> Any:
    """What ``kmr-inspect ARGUMENTS`` leaves: ``returncode``, and ``stdout`` and ``stderr``."""
    return _run("kmr-inspect", [COMMAND], arguments, cwd, timeout, environment)


def python(kind: str, *arguments: Any, cwd: Any = None, timeout: float = 300, **environment: str) -> Any:
    """What ``python KIND ARGUMENTS`` leaves, as :func:`command`; ``kind`` is ``-c`` or ``-m``."""
    return _run(kind, [sys.executable, kind], arguments, cwd, timeout, environment)


def _run(kind, start, arguments, cwd, timeout, environment):
    line, around = [str(argument) for argument in arguments], {**os.environ, **environment}
    server = warm.server(around)
    if server is not None:
        return server.run(kind, line, cwd, around, timeout)
    return subprocess.run(
        [*start, *line], cwd=cwd, timeout=timeout, env=around, capture_output=True, encoding="utf-8", check=False
    )


def batch_of(name: str) -> dict[str, np.ndarray]:
    """The model's real batch, labels left out."""
    with np.load(HOME / DATA[name]) as archive:
        return {key: archive[key] for key in archive.files if key != "label"}


def run_bare(name: str, batch: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The model's outputs, from its own framework and nothing else."""
    path = str(HOME / name)
    if name.endswith(".pt"):
        import torch

        module = torch.jit.load(path).eval()
        with torch.no_grad():
            found = module(*(torch.from_numpy(values) for values in batch.values()))
    elif name.endswith(".pt2"):
        import torch

        with torch.no_grad():
            found = torch.export.load(path).module()(*(torch.from_numpy(values) for values in batch.values()))
    elif name.endswith(".onnx"):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        found = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, dict(batch))
    elif name.endswith(".keras") or name == "recommender.h5":
        import keras

        import kmr_cli.layers  # noqa: F401  # of which the recommender is built

        model = keras.models.load_model(path, compile=False)
        values = [batch[key.name] for key in model.inputs]
        found = model(values if len(values) > 1 else values[0], training=False)
    elif name.endswith(".h5"):
        import tf_keras

        found = tf_keras.models.load_model(path, compile=False)(batch["image"], training=False)
    else:
        import tensorflow as tf

        loaded = tf.saved_model.load(path)
        found = loaded.signatures["serving_default"](**{key: tf.constant(values) for key, values in batch.items()})
        found = dict(sorted(found.items()))  # a signature's outputs come by name, in no order
    return [np.asarray(value) for value in flattened(found)]


def flattened(value: Any) -> list[Any]:
    """Leaves of nested dictionaries, lists and tuples, in order."""
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in flattened(item)]
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in flattened(item)]
    return [value]
