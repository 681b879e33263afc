"""How far a value may be off before it counts as changed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from glob import escape

import numpy as np

from kmr_cli.arrays.ulp import unit_at
from kmr_cli.config.layers import fits, match
from kmr_cli.errors import KmrError, LayerError

_DEFAULTS = {
    "float64": (1e-9, 1e-12),
    "complex128": (1e-9, 1e-12),
    "float32": (1e-4, 1e-6),
    "complex64": (1e-4, 1e-6),
    "float16": (1e-2, 1e-4),
    "bfloat16": (5e-2, 1e-3),
}
"""dtype -> (rtol, atol). Room for other kernels, another machine, another framework; not for another model."""
_COARSE = (0.25, 1e-2)  # float8 of any kind
EVERY = "*"
"""What a project sets for every layer: a default of its own for what the command line leaves open, no more."""


@dataclass(frozen=True)
class Tolerance:
    """Attributes: ``rtol``, ``atol``, ``ulp`` as in :class:`Tolerances`; None for what is left open."""

    rtol: float | None = None
    atol: float | None = None
    ulp: int | None = None

    def __post_init__(self) -> None:
        for name in ("rtol", "atol", "ulp"):
            number = getattr(self, name)
            if number is not None and not 0 <= number < float("inf"):
                raise KmrError(f"{name} must be a finite number, 0 or more, not {number}", "0 allows no difference")

    def over(self, other: Tolerance) -> Tolerance:
        """This one, completed with the other's numbers. An ULP replaces rtol and atol together."""
        if self.ulp is not None:
            return self
        if self.rtol is None and self.atol is None:
            return other
        return Tolerance(
            other.rtol if self.rtol is None else self.rtol, other.atol if self.atol is None else self.atol, None
        )


@dataclass(frozen=True)
class Tolerances:
    """A sample's part of a tensor has changed if it is off by more than ``atol + rtol * scale``.

    Off by: the largest absolute difference, and the scale is the largest absolute value; where only sketches are
    compared, both are root mean squares. ``ulp`` N stands for N units in the last place of the scale.

    Attributes:
        general: for all layers, as given on the command line; integers, booleans and text it does not loosen.
        layers: (path or glob, tolerance), the last that fits wins over ``general``; but what is set for ``*`` fills
            in only what ``general`` leaves open.
    """

    general: Tolerance = Tolerance()
    layers: tuple[tuple[str, Tolerance], ...] = ()

    def at(self, layer: str, *dtypes: str) -> tuple[float, float]:
        """(rtol, atol) at a layer, for the coarsest of the dtypes.

        Where none is a float they are (0, 0): there only what is set for this very layer gives room.
        """
        chosen = general = self._of_all() if any(map(_is_float, dtypes)) else Tolerance()
        for pattern, tolerance in self.layers:
            if pattern != EVERY and fits(layer, pattern):
                chosen = tolerance.over(general)
        if chosen.ulp is not None:
            return chosen.ulp * max((_epsilon(dtype) for dtype in dtypes), default=0.0), 0.0
        rtol, atol = map(max, zip(*map(_default, dtypes), strict=True))
        return (rtol if chosen.rtol is None else chosen.rtol), (atol if chosen.atol is None else chosen.atol)

    def _of_all(self) -> Tolerance:
        for pattern, tolerance in self.layers:
            if pattern == EVERY:
                return self.general.over(tolerance)
        return self.general

    def resolved(self, layers: Collection[str], separator: str) -> Tolerances:
        """The same, with a pattern of its whole path alone for every path, and every unique end of one.

        Args:
            layers: paths of layers, and names of outputs.
            separator: of the parts of a path.

        Raises:
            LayerError: a pattern is the end of several.
        """
        whole = []
        for pattern, tolerance in self.layers:
            try:
                found = match(pattern, layers, separator)
            except LayerError as exc:
                raise LayerError(f"tolerance: {exc.message}", exc.hint) from exc
            one = len(found) == 1 and (found[0] == pattern or found[0].endswith(separator + pattern))
            whole.append((escape(found[0]) if one else pattern, tolerance))
        return replace(self, layers=tuple(whole))

    def unmatched(self, layers: Collection[str]) -> tuple[str, ...]:
        """The patterns that fit none of these layers."""
        return tuple(
            pattern for pattern, _ in self.layers if pattern != EVERY and not any(fits(one, pattern) for one in layers)
        )


def _is_float(dtype: str) -> bool:
    return "float" in dtype or "complex" in dtype


def _default(dtype: str) -> tuple[float, float]:
    if not _is_float(dtype):
        return 0.0, 0.0
    return _DEFAULTS.get(dtype, _COARSE)


def _epsilon(dtype: str) -> float:
    if not _is_float(dtype):
        return 0.0
    return unit_at(1.0, np.dtype(dtype))
