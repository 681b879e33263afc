"""A table that is never wider than the screen and breaks no word: what does not fit continues on the next line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from kmr_cli.render.screen.lines import print_hanging

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
    for row in (head, *rows):
        for line in _laid_out(row.cells, starts, right) if row.cells else ():
            _print(console, line, row.style)
        for line in row.below:
            _print(console, line, row.style or "dim")


def _print(console: Console, line: str, style: str) -> None:
    text = line.lstrip()
    print_hanging(console, Text(" " * (len(line) - len(text))), Text(text, style))


def _starts(rows: Sequence[Row], width: int) -> tuple[int, ...]:
    """Where each column but the last begins."""
    looked_at = [row.cells for row in rows[:: max(1, len(rows) // _LOOKED_AT)]]
    columns = [sorted({_length(cell) for cell in column}) for column in list(zip(*looked_at, strict=True))[:-1]]
    last = max(_length(cells[-1]) for cells in looked_at)
    if sum(column[-1] + _GAP for column in columns) + last <= width:
        columns = [column[-1:] for column in columns]
    best: tuple[tuple[int, int], tuple[int, ...]] | None = None
    for widths in product(*(_some(column) for column in columns[:-1])):
        starts = [0]
        for one in widths:
            starts.append(starts[-1] + one + _GAP)
        if starts[-1] + _GAP > width - last and len(columns[0]) > 1:
            continue
        lines = sum(len(list(_laid_out(cells, starts, width))) for cells in looked_at)
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
    line = ""
    for number, cell in enumerate(cells[:-1]):
        start = starts[number]
        if line and cell_len(line) + (_GAP if number else 0) > start and cell:
            yield line.rstrip()
            line = ""
        for place, word in enumerate(cell):
            room = right - cell_len(word)
            if place and cell_len(line) + 1 <= room:
                line += " " + word
                continue
            if place:
                yield line.rstrip()
                line = ""
            line += " " * max(0, min(start, max(room, 4)) - cell_len(line)) + word
    last = " ".join(cells[-1])
    if cell_len(line) + _GAP > right - cell_len(last) and last:
        yield line.rstrip()
        line = ""
    yield (line + " " * (right - cell_len(last) - cell_len(line)) + last).rstrip()


def _length(cell: Sequence[str]) -> int:
    return cell_len(" ".join(cell))
