"""What kind of layer a type is, whatever the framework calls it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

Kinds: TypeAlias = Mapping[str, str]
"""Path of a layer -> its type, as its framework calls it."""

_LETTERS = re.compile(r"[^a-z]")
_SAME = {
    "linear": "dense", "gemm": "dense", "matmul": "dense", "addmm": "dense", "mm": "dense",
    "gather": "embedding", "reshape": "flatten", "view": "flatten", "swish": "silu", "hardtanh": "relu",
    "globalaveragepooling": "globalaveragepool", "adaptiveavgpool": "globalaveragepool", "mean": "globalaveragepool",
    "averagepool": "avgpool", "averagepooling": "avgpool", "maxpooling": "maxpool",
    "batchnormalization": "batchnorm", "layernormalization": "layernorm", "groupnormalization": "groupnorm",
}  # fmt: skip


def kind(name: str) -> str:
    """``MaxPooling2D``, ``max_pool2d`` and ``MaxPool`` -> ``maxpool``; empty for a type that is not known."""
    letters = _LETTERS.sub("", name.lower().rpartition(".")[2])
    stem = letters if re.search(r"\dd", name.lower()) is None else letters.removesuffix("d")
    return _SAME.get(stem, stem)
