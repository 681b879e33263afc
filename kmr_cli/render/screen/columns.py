"""A table that is never wider than the screen and breaks no word: what does not fit continues on the next line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.text import Text

from kmr_cli.render.screen.lines import drawn, hanging, print_segments

_GAP = 2
_CHOICES = 6
"""Widths that are tried of each column."""
_LOOKED_AT = 120
"""Rows by which the widths are chosen."""


@dataclass(frozen=True)
class Row:
    """One row: for every column the words that must not be broken; none where only ``below`` is said.

    Attributes:
        cells: the last stands on the right.
        style: of the whole row.
        below: lines across all columns, which may be indented.
    """

    cells: tuple[tuple[str, ...], ...]
    style: str = ""
    below: tuple[str, ...] = ()


def print_columns(console: Console, titles: Sequence[str], rows: Sequence[Row]) -> None:
    """Print the titles and the rows, in columns as narrow as costs the fewest lines."""
    width = max(console.width, 40)
    head = Row(tuple((title,) for title in titles), "bold")
    starts = _starts([head, *(row for row in rows if row.cells)], width)
    right = min(width, _natural([head, *rows], starts))
    screen = console.width
    parts: list[Segment] = []
    for row in (head, *rows):
        for line in _laid_out(row.cells, starts, right) if row.cells else ():
            parts += _drawn(console, screen, line, row.style)
        for line in row.below:
            parts += _drawn(console, screen, line, row.style or "dim")
    print_segments(console, parts)


def _drawn(console: Console, screen: int, line: str, style: str) -> Iterator[Segment]:
    line = line.rstrip()
    text = line.lstrip()
    indent = " " * (len(line) - len(text))
    if _cells(line) <= screen:  # it holds no breaks: words from a file are spelled out
        yield Segment(indent)
        yield Segment(text, console.get_style(style) if style else None)
        yield Segment("\n")
        return
    for wrapped in hanging(console, screen, Text(indent), Text(text, style)):
        yield from drawn(console, wrapped)


def _starts(rows: Sequence[Row], width: int) -> tuple[int, ...]:
    """Where each column but the last begins."""
    looked_at = [row.cells for row in rows[:: max(1, len(rows) // _LOOKED_AT)]]
    columns = [sorted({_length(cell) for cell in column}) for column in list(zip(*looked_at, strict=True))[:-1]]
    last = max(_length(cells[-1]) for cells in looked_at)
    if sum(column[-1] + _GAP for column in columns) + last <= width:
        return tuple(sum(column[-1] + _GAP for column in columns[:number]) for number in range(len(columns)))
    best: tuple[tuple[int, int], tuple[int, ...]] | None = None
    alike = Counter(map(_sizes, looked_at)).most_common()
    for widths in product(*(_some(column) for column in columns[:-1])):
        starts = [0]
        for one in widths:
            starts.append(starts[-1] + one + _GAP)
        if starts[-1] + _GAP > width - last and len(columns[0]) > 1:
            continue
        lines = len(looked_at)
        for sizes, count in alike:
            lines += count * (_height(sizes, starts, width) - 1)
            if best is not None and lines > best[0][0]:
                break
        if best is None or (lines, starts[-1]) < best[0]:
            best = (lines, starts[-1]), tuple(starts)
    return best[1] if best is not None else tuple(4 * number for number in range(len(columns)))


def _some(lengths: Sequence[int]) -> Sequence[int]:
    return lengths[:: max(1, len(lengths) // _CHOICES)] if len(lengths) > _CHOICES else lengths


def _natural(rows: Sequence[Row], starts: Sequence[int]) -> int:
    """How wide the table would be if no cell but those of the last columns had to make room."""
    ends = [starts[-1] + _length(row.cells[-2]) for row in rows if row.cells]
    return max(ends) + _GAP + max(_length(row.cells[-1]) for row in rows if row.cells)


def _laid_out(cells: Sequence[Sequence[str]], starts: Sequence[int], right: int) -> Iterator[str]:
    """The lines of one row: a word that does not fit begins the next line, in its own column if it fits there."""
    words = [*(word for cell in cells[:-1] for word in cell), " ".join(cells[-1])]
    line = ""
    for word, blanks in zip(words, _blanks(_sizes(cells), starts, right), strict=True):
        if blanks < 0:
            yield line.rstrip()
            line, blanks = "", ~blanks
        line += " " * blanks + word
    yield line.rstrip()


def _height(sizes: Sequence[Sequence[int]], starts: Sequence[int], right: int) -> int:
    """How many lines that are."""
    return 1 + len([blanks for blanks in _blanks(sizes, starts, right) if blanks < 0])


def _blanks(sizes: Sequence[Sequence[int]], starts: Sequence[int], right: int) -> list[int]:
    """How many blanks stand before each word; ``~blanks`` where a new line begins with them.

    Args:
        sizes: of the words in every column; of the last, the size of all of them.
        starts: where each column but the last begins.
        right: where the last ends.
    """
    blanks, at = [], 0
    for number, (cell, start) in enumerate(zip(sizes, starts, strict=False)):
        broken = bool(cell) and at > 0 and at + (_GAP if number else 0) > start
        for place, size in enumerate(cell):
            room = right - size
            if place and at + 1 <= room:
                blanks.append(1)
                at += 1 + size
                continue
            if place or broken:
                at, broken = 0, True
            before = max(0, min(start, max(room, 4)) - at)
            blanks.append(~before if broken else before)
            at += before + size
            broken = False
    (last,) = sizes[-1]
    if last and at + _GAP > right - last:
        return [*blanks, ~max(0, right - last)]
    return [*blanks, max(0, right - last - at)]


def _sizes(cells: Sequence[Sequence[str]]) -> tuple[tuple[int, ...], ...]:
    return (*(tuple(map(_cells, cell)) for cell in cells[:-1]), (_length(cells[-1]),))


def _length(cell: Sequence[str]) -> int:
    return _cells(" ".join(cell))


def _cells(text: str) -> int:
    """How wide it is on the screen; nearly all text here is ASCII."""
    return len(text) if text.isascii() else cell_len(text)
