"""A look at the values of a tensor: a plane of it, small enough to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kmr_cli.render.escape import for_terminal

_EDGE = 3
"""So many at each end of an axis are shown of what is too large to be shown in full."""
_IN_FULL = 64
_SMALL, _LARGE = 5e-5, 1e8  # between them four decimals say something


def preview(value: np.ndarray, width: int) -> list[tuple[str, str]]:
    """Lines that show a plane of ``value``, each with a label; the first one's says which slice it is.

    Floats have four decimals. A zero is a plain ``0``, and what four decimals would make look like one is given by its
    order of magnitude (``2e-12``).
    """
    plane, label = _plane(value)
    if plane.dtype == object:
        lines = [for_terminal(repr(item), width) for item in plane.ravel()[: 2 * _EDGE].tolist()]
    else:
        plane = plane.astype(np.float64) if plane.dtype.kind in "Vf" else plane
        formatter: Any = {"float_kind": _formatter(plane)} if plane.dtype.kind == "f" else None
        with np.printoptions(
            precision=4, suppress=True, edgeitems=_EDGE, threshold=_IN_FULL, linewidth=width, formatter=formatter
        ):
            lines = np.array2string(plane).splitlines()
    return [(label if number == 0 else "", line) for number, line in enumerate(lines)]


def _plane(value: np.ndarray) -> tuple[np.ndarray, str]:
    """At most two axes to look at: an image's first channel, else the first of everything further out."""
    if value.ndim <= 2:
        return value, "all"
    if value.ndim == 3 and value.shape[0] == value.shape[1] != value.shape[2]:
        return value[:, :, 0], "[:, :, 0]"
    place = (0,) * (value.ndim - 2)
    return value[place], f"[{', '.join(['0'] * len(place) + [':', ':'])}]"


def _shown(plane: np.ndarray) -> np.ndarray:
    """The numbers that will be printed."""
    if plane.size > _IN_FULL:
        for axis, length in enumerate(plane.shape):
            if length > 2 * _EDGE:
                plane = np.take(plane, [*range(_EDGE), *range(-_EDGE, 0)], axis)
    return plane.ravel()


def _formatter(plane: np.ndarray) -> Callable[[float], str]:
    """How each number is written: all of them equally wide."""
    shown = _shown(plane)
    sizes = np.abs(shown[np.isfinite(shown)])
    large = bool(sizes.size) and sizes.max() >= _LARGE

    def written(number: float) -> str:
        if number == 0:
            return "0"
        if large or not np.isfinite(number):
            return f"{number:.4e}"
        return f"{number:.4f}" if abs(number) >= _SMALL else f"{number:.0e}"

    width = max((len(written(number)) for number in shown.tolist()), default=0)
    return lambda number: written(number).rjust(width)
