"""From numbers to colours: dark to light for those of one sign, blue over white to red around zero."""

from __future__ import annotations

import numpy as np

from kmr_cli.render.pictures.planes import Picture

LEVELS = 254
"""Colours of a scale; the numbers after them stand for what isn't a number, and for no pixel at all."""
NOT_FINITE, NOTHING = LEVELS, LEVELS + 1

_ONE_SIGN = ("#0d0887", "#5b02a3", "#9a179b", "#cb4678", "#eb7852", "#fbb32f", "#f0f921")
_TWO_SIGNS = ("#2166ac", "#67a9cf", "#d1e5f0", "#f7f7f7", "#fddbc7", "#ef8a62", "#b2182b")
_GREY = ("#000000", "#ffffff")
_ALARM = "#ff00ff"


def levels(plane: np.ndarray, picture: Picture) -> np.ndarray:
    """A plane of one number a pixel as places on the scale of its picture (uint8); ``NOT_FINITE`` for NaN and Inf."""
    low, high = span(picture)
    with np.errstate(invalid="ignore", over="ignore"):
        placed = np.clip(
            (plane / 2 - low / 2) / ((high / 2 - low / 2) or 1.0), 0, 1
        )  # halves, as the span may overflow
    finite = np.isfinite(plane)
    return np.where(finite, np.rint(np.where(finite, placed, 0) * (LEVELS - 1)), NOT_FINITE).astype(np.uint8)


def span(picture: Picture) -> tuple[float, float]:
    """The numbers at both ends of the scale: as far above zero as below where there are both."""
    if picture.kind == "image":
        return 0.0, 1.0 if picture.high <= 1 else max(picture.high, 255.0 if picture.high > 16 else picture.high)
    if picture.signed:
        far = max(-picture.low, picture.high)
        return -far, far
    return (min(picture.low, 0.0), picture.high) if picture.high > 0 else (picture.low, 0.0)


def palette(picture: Picture) -> np.ndarray:
    """(256, 3) uint8: the colours of the scale, then those of ``NOT_FINITE`` and of ``NOTHING``."""
    stops = _GREY if picture.kind == "image" else _TWO_SIGNS if picture.signed else _ONE_SIGN
    anchors = np.array([_rgb(stop) for stop in stops], dtype=np.float64)
    places = np.linspace(0, len(stops) - 1, LEVELS)
    scale = np.stack([np.interp(places, range(len(stops)), anchors[:, one]) for one in range(3)], axis=1)
    return np.concatenate([np.rint(scale), [_rgb(_ALARM), (255, 255, 255)]]).astype(np.uint8)


def coloured(plane: np.ndarray, picture: Picture) -> np.ndarray:
    """A plane as (height, width, 3) uint8."""
    if plane.ndim == 3:
        _, high = span(picture)
        finite = np.nan_to_num(plane, nan=0.0, posinf=high, neginf=0.0)
        light: np.ndarray = np.rint(np.clip(finite / (high or 1.0), 0, 1) * 255)
        return light.astype(np.uint8)
    shown: np.ndarray = palette(picture)[levels(plane, picture)]
    return shown


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
