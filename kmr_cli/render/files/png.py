"""A picture of every value as one labelled image, for a report or a message."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kmr_cli.batch.files.source import EXTRA
from kmr_cli.batch.words import dtype_name, show_shape
from kmr_cli.errors import OutputError
from kmr_cli.formats.common.frameworks import require
from kmr_cli.records import Record
from kmr_cli.render.contents import Samples
from kmr_cli.render.escape import for_terminal
from kmr_cli.render.pictures.colours import NOT_FINITE, coloured, palette, span
from kmr_cli.render.pictures.grid import within
from kmr_cli.render.pictures.planes import Picture, picture_of
from kmr_cli.render.whose import part_of

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

_WIDTH = 1200
"""Pixels of the whole; a file that is looked at on a screen, or in a document."""
_MARGIN, _GAP, _LINE = 24, 14, 20
_PLANE = 128
"""Pixels that a small plane is enlarged to, by a whole number."""
_PLANES = 32
_SCALE = 12
"""Pixels that the bar with the colours is high."""
_RECORDS = 64
_INK, _SOFT, _PAPER = (27, 33, 41), (88, 98, 115), (255, 255, 255)


def write(path: Path, samples: Samples) -> None:
    """Write the grid: for every value a heading, its planes with what they are a slice of, and the scale of colours.

    Raises:
        OutputError: there is nothing to draw, or too much.
        MissingFrameworkError: Pillow is not installed.
    """
    refuse(len(samples.records))
    from PIL import Image, ImageDraw, ImageFont

    drawn = [(record, picture) for record in samples.records if (picture := picture_of(record.value, _PLANES))]
    if not drawn:
        raise OutputError(
            "none of these values is an image, a map or a vector", "write a .npz or .json file, which takes any value"
        )
    font, small = ImageFont.load_default(16), ImageFont.load_default(12)
    parts = [_part(record, picture, samples) for record, picture in drawn]
    height = _MARGIN + sum(part.height for part in parts)
    whole = Image.new("RGB", (_WIDTH, height), _PAPER)
    top = _MARGIN
    for part in parts:
        part.draw(whole, ImageDraw.Draw(whole), top, font, small)
        top += part.height
    whole.save(path, "PNG")


def refuse(records: int) -> None:
    """Refuse more than anybody looks at; and to draw without Pillow.

    Raises:
        OutputError: there are too many records.
        MissingFrameworkError: Pillow is not installed; the hint is what to type.
    """
    require("PIL.Image", EXTRA)
    if records > _RECORDS:
        raise OutputError(
            f"{records} values are too many for one picture, which takes {_RECORDS}",
            "narrow it down with --layer, --side and --index, or write a .html page",
        )


@dataclass(frozen=True)
class _Part:
    """One value: its lines of text, and its planes in rows."""

    title: str
    lines: tuple[str, ...]
    picture: Picture
    times: int

    @property
    def _sides(self) -> tuple[int, int]:
        height, width = self.picture.planes[0].shape[:2]
        return height * self.times, width * self.times

    @property
    def _columns(self) -> int:
        width = max(self._sides[1], _PLANE // 2)
        return max(1, (_WIDTH - 2 * _MARGIN + _GAP) // (width + _GAP))

    @property
    def height(self) -> int:
        """Pixels that it takes, with the space below it."""
        rows = math.ceil(len(self.picture.planes) / self._columns)
        text = _LINE * (1 + len(self.lines))
        return text + _GAP + rows * (self._sides[0] + _LINE + _GAP) + _SCALE + _LINE + _MARGIN

    def draw(
        self, whole: Image, pen: ImageDraw, top: int, font: FreeTypeFont | ImageFont, small: FreeTypeFont | ImageFont
    ) -> None:
        """Put it on the image, below ``top``."""
        from PIL import Image

        pen.text((_MARGIN, top), self.title, _INK, font)
        for line in self.lines:
            top += _LINE
            pen.text((_MARGIN, top), line, _SOFT, small)
        top += _LINE + _GAP
        height, width = self._sides
        across = max(width, _PLANE // 2) + _GAP
        for number, (plane, label) in enumerate(zip(self.picture.planes, self.picture.labels, strict=True)):
            left, upper = (
                _MARGIN + number % self._columns * across,
                top + number // self._columns * (height + _LINE + _GAP),
            )
            pixels = Image.fromarray(coloured(plane, self.picture)).resize((width, height), Image.Resampling.NEAREST)
            whole.paste(pixels, (left, upper))
            pen.rectangle((left - 1, upper - 1, left + width, upper + height), outline=(221, 225, 231))
            pen.text((left, upper + height + 3), label, _SOFT, small)
        top += math.ceil(len(self.picture.planes) / self._columns) * (height + _LINE + _GAP)
        if self.picture.planes[0].ndim == 2:
            self._scale(whole, pen, top, small)

    def _scale(self, whole: Image, pen: ImageDraw, top: int, small: FreeTypeFont | ImageFont) -> None:
        from PIL import Image

        low, high = span(self.picture)
        colours = palette(self.picture)[:NOT_FINITE]
        bar = Image.fromarray(np.repeat(colours[None], _SCALE, axis=0))
        whole.paste(bar, (_MARGIN, top))
        pen.text((_MARGIN, top + _SCALE + 2), f"{low:.4g}", _SOFT, small)
        pen.text((_MARGIN + len(colours), top + _SCALE + 2), f"{high:.4g}", _SOFT, small, anchor="ra")


def _part(record: Record, picture: Picture, samples: Samples) -> _Part:
    call = f" call {record.call}" if record.call else ""
    index = record.index
    word = "proven" if index.proven else index.kind
    more = f"; {len(picture.planes)} of {picture.total} planes" if len(picture.planes) < picture.total else ""
    tensor = f"{show_shape(record.value.shape)} {dtype_name(record.value.dtype)} of {show_shape(record.shape)}"
    lines = (f"{tensor}, {word}{more}", for_terminal(samples.info.path, 150))
    small = within(picture, _WIDTH - 2 * _MARGIN, _WIDTH // 2)
    height, width = small.planes[0].shape[:2]
    most = (_WIDTH - 2 * _MARGIN) // width
    times = max(1, min(most, _PLANE // max(height, width) if small.kind != "vector" else max(1, most), 32))
    return _Part(f"{for_terminal(record.layer, 80)}{call} {record.port}, {part_of(record)}", lines, small, times)
