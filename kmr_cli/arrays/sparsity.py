"""Which places of a dense array a sparse tensor of it holds."""

from __future__ import annotations

import numpy as np


def present(values: np.ndarray) -> np.ndarray:
    """All but 0, False and empty text."""
    if values.dtype.kind in "OUST":
        held = [one not in ("", b"") for one in values.reshape(-1).tolist()]
        return np.array(held, bool).reshape(values.shape)
    return np.asarray(values != np.zeros((), values.dtype))
