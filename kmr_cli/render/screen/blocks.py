"""Pictures in the terminal: two pixels a character where there are colours, else characters from light to dark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

from kmr_cli.render.pictures.colours import LEVELS, NOT_FINITE, coloured, levels, span
from kmr_cli.render.pictures.grid import within
from kmr_cli.render.pictures.planes import Picture, picture_of

_LEAST = 4
"""Rows and columns of a plane in which there is something to see."""
_WIDEST, _LINES = 64, 24
"""Pixels of one plane across, and lines of the screen that it takes."""
_RAMP = " .:-=+*#%@"
_BAD = "!"
_ENOUGH = ("256", "truecolor")


def picture_lines(value: np.ndarray, console: Console, width: int) -> Iterator[tuple[str, Text]]:
    """Lines with what stands before the first of them: planes side by side, as many as fit; nothing for other values.

    Args:
        value: one sample's part of a tensor.
        console: that shows them; where it has few colours, or none, a pixel is two characters.
        width: characters that a line may take.
    """
    picture = picture_of(value)
    if picture is None or min(picture.planes[0].shape[:2]) < _LEAST:
        return
    painted = console.color_system in _ENOUGH
    small = within(picture, min(width if painted else width // 2, _WIDEST), 2 * _LINES if painted else _LINES)
    across = small.planes[0].shape[1]
    each = across + 1 if painted else 2 * across + 1
    shown = min(len(small.planes), max(1, (width + 1) // each))
    drawn = [(_painted if painted else _written)(plane, small) for plane in small.planes[:shown]]
    yield "picture", Text(_words(picture, picture.labels[:shown], painted=painted))
    for lines in zip(*drawn, strict=True):
        yield "", Text(" " if painted else "|").join(lines)


def _painted(plane: np.ndarray, picture: Picture) -> list[Text]:
    """A character for two pixels, one above the other."""
    pixels = coloured(plane, picture)
    lines = []
    for top in range(0, len(pixels), 2):
        line = Text()
        below = pixels[top + 1] if top + 1 < len(pixels) else None
        for column, pixel in enumerate(pixels[top]):
            under = None if below is None else Color.from_rgb(*map(int, below[column]))
            line.append("▀", Style(color=Color.from_rgb(*map(int, pixel)), bgcolor=under))
        lines.append(line)
    return lines


def _written(plane: np.ndarray, picture: Picture) -> list[Text]:
    """Two characters a pixel, which are about as wide as high."""
    if plane.ndim == 3:
        plane = plane.mean(axis=2)
    steps = levels(plane, picture)
    signs = np.array([*_RAMP, _BAD])
    places = np.where(steps == NOT_FINITE, len(_RAMP), steps.astype(int) * len(_RAMP) // LEVELS)
    return [Text("".join(sign * 2 for sign in signs[row])) for row in places]


def _words(picture: Picture, labels: Sequence[str], *, painted: bool) -> str:
    height, width = picture.planes[0].shape[:2]
    parts = [f"{height} by {width}"]
    if picture.kind == "channels":
        parts.append(f"{labels[0]} to {labels[-1]} of {picture.total}" if len(labels) > 1 else labels[0])
    low, high = span(picture)
    if not painted:
        parts.append(f"blank {low:.4g} to {_RAMP[-1]} {high:.4g}")
    elif picture.planes[0].ndim == 2:
        parts.append(f"{low:.4g} to {high:.4g}")
    if not all(np.isfinite(plane).all() for plane in picture.planes[: len(labels)]):
        parts.append("NaN and Inf magenta" if painted else f"NaN and Inf {_BAD}")
    return ", ".join(parts)
