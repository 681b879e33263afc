"""Whose each slice of a tensor is, by the owner that the proof gives it."""

from __future__ import annotations

import numpy as np

from kmr_cli.proof.owners import Own


def owners_along(owner: Own, shape: tuple[int, ...], batch: int) -> np.ndarray | None:
    """The sample of every slice along the owner's axis; None where these lengths do not tell, or do not fit.

    Args:
        owner: of the tensor.
        shape: that it has.
        batch: the number of samples.
    """
    if owner.axis >= len(shape):
        return None
    length = shape[owner.axis]
    if isinstance(owner.inner, int):
        inner = owner.inner
    elif isinstance(owner.outer, int) and owner.outer * batch:
        inner = length // (owner.outer * batch)
    else:
        return None
    if not inner or length % (inner * batch):
        return None
    found: np.ndarray = np.arange(length) // inner % batch
    return found
