"""When two passes are the same, and the error where they are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from kmr_cli.records import Tap

Values: TypeAlias = dict[Tap, np.ndarray]
"""What a pass handed to its sink, in that order."""


class ConformanceError(AssertionError):
    """A format breaks one of its promises."""


def demand(holds: bool, otherwise: str) -> None:
    """Raise ConformanceError with this text unless something holds."""
    if not holds:
        raise ConformanceError(otherwise)


def equal(mine: np.ndarray, yours: np.ndarray, tolerance: float = 0.0) -> bool:
    """Bit for bit, or, with a tolerance relative to the largest finite value, that close."""
    if mine.dtype != yours.dtype or mine.shape != yours.shape:
        return False
    if mine.dtype.hasobject:
        return bool((mine == yours).all())
    if mine.tobytes() == yours.tobytes():
        return True
    if not tolerance:
        return False
    scale = float(np.abs(yours[np.isfinite(yours)]).max(initial=0))
    return bool(np.allclose(mine, yours, rtol=0, atol=tolerance * scale, equal_nan=True))


def same_values(mine: Values, yours: Values, when: str, tolerance: float = 0.0) -> None:
    """Demand the same taps in the same order, with equal values."""
    demand(list(mine) == list(yours), f"{when}: different taps, calls or order: {_first_other(mine, yours)}")
    for tap, value in mine.items():
        demand(equal(value, yours[tap], tolerance), f"{when}: another value at {tap}")


def same_outputs(mine: Mapping[str, np.ndarray], yours: Mapping[str, np.ndarray], when: str, at: float = 0.0) -> None:
    """Demand the same outputs in the same order, with equal values; ``at`` is the tolerance."""
    demand(list(mine) == list(yours), f"{when}: outputs {list(mine)}, not {list(yours)}")
    for name, value in mine.items():
        demand(equal(value, yours[name], at), f"{when}: another value of the output {name!r}")


def _first_other(mine: Values, yours: Values) -> str:
    pairs = list(zip(mine, yours, strict=False))
    first = next((pair for pair in pairs if pair[0] != pair[1]), None)
    return f"{first[0]} where there was {first[1]}" if first else f"{len(mine)} taps, not {len(yours)}"
