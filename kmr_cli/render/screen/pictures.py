"""Dependence between samples, for people: for every output of a check a small picture, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator

from kmr_cli.records import Report
from kmr_cli.render.dependences import HOW_TO_READ, Matrix, matrices
from kmr_cli.render.escape import for_terminal


def pictures(report: Report) -> Iterator[list[str]]:
    """Blocks of lines. Rows are the samples that were replaced, columns the samples whose output changed."""
    for one in matrices(report):
        yield _draw(one) if isinstance(one, Matrix) else [for_terminal(one, 1000)]


def _draw(matrix: Matrix) -> list[str]:
    size = len(matrix.marks)
    width = len(str(size - 1))
    lines = [f"{for_terminal(matrix.title)}: {HOW_TO_READ}"]
    lines.append(" " * (width + 2) + " ".join(str(sample).rjust(width) for sample in range(size)))
    for sample, row in enumerate(matrix.marks):
        lines.append(f"{str(sample).rjust(width)}  {' '.join((mark or '.').rjust(width) for mark in row)}")
    if any("~" in row for row in matrix.marks):
        lines.append("~ changed in its last bits only")
    return lines
