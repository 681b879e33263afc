"""In which precision the layers add up."""

from __future__ import annotations


def wide(dtype: str) -> str:
    """The dtype for sums, products of matrices and softmax in a layer that computes in ``dtype``.

    Half precision is too narrow for them: float16 overflows at 65504, and bfloat16 cannot count past 256.
    """
    return "float32" if dtype in ("float16", "bfloat16") else dtype
