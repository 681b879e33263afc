"""The planes of a picture side by side, small enough for what they are put into."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from kmr_cli.render.pictures.colours import NOTHING, levels, palette
from kmr_cli.render.pictures.colours import coloured as colours_of
from kmr_cli.render.pictures.planes import Picture
from kmr_cli.render.pictures.png import coloured, indexed


def fit(picture: Picture, pixels: int) -> Picture:
    """The same with at most so many pixels in all: rows and columns of each plane are left out, or whole planes.

    What is left is the number that stands there, never a mean.
    """
    height, width = picture.planes[0].shape[:2]
    kept = picture.planes[: max(1, min(len(picture.planes), pixels))]
    room = pixels / len(kept)
    if height * width <= room:
        return replace(picture, planes=kept, labels=picture.labels[: len(kept)])
    step = math.sqrt(height * width / room)
    down, across = _chosen(height, step if height > 1 else 1), _chosen(width, step if height > 1 else step**2)
    planes = tuple(plane[np.ix_(down, across)] for plane in kept)
    return replace(picture, planes=planes, labels=picture.labels[: len(kept)])


def within(picture: Picture, across: int, down: int) -> Picture:
    """The same with planes of at most so many pixels across and down: as many rows are left out as columns."""
    height, width = picture.planes[0].shape[:2]
    step = max(width / across, height / down, 1.0)
    if step == 1:
        return picture
    place = np.ix_(_chosen(height, step), _chosen(width, step))
    return replace(picture, planes=tuple(plane[place] for plane in picture.planes))


def sides(picture: Picture) -> tuple[int, int]:
    """How many pixels all planes take, down and across: in rows and columns, a pixel apart."""
    height, width = picture.planes[0].shape[:2]
    rows = math.ceil(len(picture.planes) / picture.columns)
    return rows * (height + 1) - 1, picture.columns * (width + 1) - 1


def as_png(picture: Picture) -> bytes:
    """A file with all planes; its size is that of :func:`sides`."""
    first = picture.planes[0]
    if first.ndim == 3:
        return coloured(colours_of(first, picture))
    height, width = first.shape
    pixels = np.full(sides(picture), NOTHING, np.uint8)
    for number, plane in enumerate(picture.planes):
        row, column = divmod(number, picture.columns)
        top, left = row * (height + 1), column * (width + 1)
        pixels[top : top + height, left : left + width] = levels(plane, picture)
    return indexed(pixels, palette(picture), NOTHING)


def _chosen(length: int, step: float) -> np.ndarray:
    """Places from end to end, about ``step`` apart."""
    return np.unique(np.linspace(0, length - 1, max(1, int(length / step))).round().astype(int))
