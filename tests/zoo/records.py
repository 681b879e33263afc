"""Records of samples that no model gave, for the outputs that show them: every dtype, and names that do harm."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from kmr_cli.records import BatchIndex, ModelInfo, Record, TensorSpec
from kmr_cli.render.contents import Samples

HOSTILE = "../../evil/\x1b[31mred\n\x00\u202e[bold]x[/bold]" + "y" * 300
INFO = ModelInfo("m.keras", "keras", "Keras 3", (TensorSpec("x", (None, 4), "float32"),), (), (), 10)
INDEX = BatchIndex("separated", 0, (0, 1, 2), "row 1 stayed the same")

VALUES = {
    "floats": np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4),
    "image": np.zeros((8, 8, 16), np.float32),
    "one number": np.float32(3.5),
    "empty": np.zeros((0, 4), np.float32),
    "integers": np.arange(100),
    "booleans": np.array([True, False]),
    "text": np.array([b"caf\xc3\xa9", b"\xff\x1b"], dtype=object),
    "complex": np.array([1 + 2j, 3 - 4j]),
    "not finite": np.array([np.nan, np.inf, -np.inf, 0.0]),
    "bfloat16": np.array([1.5, 2.5], dtype=ml_dtypes.bfloat16),
    "float8": np.array([1.5, 2.5], dtype=ml_dtypes.float8_e5m2),
    "huge": np.array([1e300, -1e-300]),
}


def record(value, layer="conv1", call=0, port="out0", sample=1, index=INDEX) -> Record:
    value = np.asarray(value)
    return Record(layer, call, port, value, (3, *value.shape), index, sample)


def samples(records, versions=None) -> Samples:
    return Samples(INFO, tuple(records), versions or {})
