"""Values as any reader of a file knows them."""

from __future__ import annotations

import numpy as np


def plain(value: np.ndarray) -> np.ndarray:
    """A dtype that any NumPy reads: text as fixed-width bytes, bfloat16 and float8 as the float32 they stand for."""
    if value.dtype == object:
        return value.astype(np.bytes_)
    return value.astype(np.float32) if value.dtype.kind == "V" or value.dtype.isbuiltin == 2 else value
