"""How one tap of a model differs from its counterpart in a baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from kmr_cli.records import TapSketch

Values: TypeAlias = Callable[[TapSketch], np.ndarray]
"""The whole tensor at a tap."""
Kind: TypeAlias = Literal["same", "close", "off", "reordered", "shape", "unknown"]

FAR = float("inf")


@dataclass(frozen=True)
class TapDifference:
    """What the content of two taps says.

    Attributes:
        kind: ``same`` (bit for bit), ``close`` (within the tolerance), ``off`` (beyond it), ``reordered`` (the same
            values in another order), ``shape`` (another shape), ``unknown`` (nothing can be said).
        where: samples that are off, or differ if none is off; empty where they cannot be separated.
        size: the largest absolute difference, or the estimated root mean square of it where only sketches are at hand;
            infinite where no number says it: other text, NaN or Inf at other places.
        tolerance: what is allowed, in the same terms.
        scale: what rtol refers to: the largest absolute value, or the root mean square.
        exact: from whole tensors.
        moved: the axes stand in another order, which was undone before values were compared.
        reason: why nothing is known, or what is off if ``size`` does not say it.
    """

    kind: Kind
    where: tuple[int, ...] = ()
    size: float = 0.0
    tolerance: float = 0.0
    scale: float = 0.0
    exact: bool = False
    moved: bool = False
    reason: str = ""


def badness(found: TapDifference) -> tuple[float, float]:
    """How far beyond the tolerance, for the worst of several parts."""
    if not found.size:
        return 0.0, 0.0
    return (found.size / found.tolerance if found.tolerance else FAR), found.size


# -- sketches ----------------------------------------------------------------------------------------------------


# -- whole tensors -----------------------------------------------------------------------------------------------


class Parts:
    """What the parts of a tensor (samples, or groups of them) say together."""

    def __init__(self) -> None:
        self.off = False
        """Whether any part is off."""
        self._off: list[int] = []
        self._moved: list[int] = []
        self._worst: TapDifference | None = None

    def add(self, samples: Sequence[int], part: TapDifference) -> None:
        """Take in the difference of one part; ``samples``: those concerned, empty where they cannot be separated."""
        self._moved += samples
        if part.kind == "off":
            self.off = True
            self._off += samples
        self._worst = part if self._worst is None else max(self._worst, part, key=badness)

    def together(self) -> TapDifference | None:
        """The worst part, with all samples that are off, or that differ if none is; None without any part."""
        if self._worst is None:
            return None
        return replace(self._worst, kind="off" if self.off else "close", where=tuple(self._off or self._moved))
