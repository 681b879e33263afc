"""Numbers out of text, of a table or of JSON, which have no precision of their own."""

from __future__ import annotations

import contextlib

import numpy as np

from kmr_cli.records import TensorSpec


def is_number(text: str) -> bool:
    """Whether text is a number for a file of data: ``1_000`` is one for Python alone."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def as_declared(array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Numbers in the precision of an input of floats; others are left as they are."""
    if spec.dtype is not None and "float" in spec.dtype and array.dtype.kind in "if":
        with contextlib.suppress(TypeError), np.errstate(over="ignore"):  # a dtype that only a framework knows
            return array.astype(spec.dtype)
    return array


def as_column(array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """One value a sample, ``(B,)``, as ``(B, 1)`` where an input takes that; others are left as they are."""
    narrow = array.ndim == 1 and spec.shape is not None and len(spec.shape) == 2 and spec.shape[1] == 1
    return array[:, None] if narrow else array
