"""The figures that describe one array."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_SQUARE_OVERFLOWS = 1e100
"""Above this the sum of squares may leave float64, so figures are computed on a scaled copy."""


@dataclass(frozen=True)
class Summary:
    """Figures over all elements, computed in float64 (the magnitude of complex values).

    ``minimum``, ``maximum``, ``mean`` and ``deviation`` (population standard deviation) leave NaN and Inf out and
    are None where nothing finite is left, or for text. ``zeros``, ``nans`` and ``infinities`` are counts.
    """

    size: int
    minimum: float | None
    maximum: float | None
    mean: float | None
    deviation: float | None
    zeros: int
    nans: int
    infinities: int


def summarize(value: np.ndarray) -> Summary:
    """Describe ``value``, of any shape and dtype."""
    if value.dtype == object:
        return Summary(value.size, None, None, None, None, 0, 0, 0)
    wide = np.abs(value) if value.dtype.kind == "c" else value
    wide = np.asarray(wide, dtype=np.float64).ravel()
    nans = int(np.isnan(wide).sum())
    finite = wide[np.isfinite(wide)]
    infinities = wide.size - nans - finite.size
    if not finite.size:
        return Summary(value.size, None, None, None, None, 0, nans, infinities)
    largest = float(np.abs(finite).max())
    scale = largest if largest > _SQUARE_OVERFLOWS else 1.0
    return Summary(
        value.size,
        float(finite.min()),
        float(finite.max()),
        float((finite / scale).mean()) * scale,
        float((finite / scale).std()) * scale,
        int((finite == 0).sum()),
        nans,
        infinities,
    )
