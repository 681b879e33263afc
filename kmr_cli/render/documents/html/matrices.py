"""Dependence between samples, as a table for every output and a sentence below it."""

from __future__ import annotations

from collections.abc import Callable

from kmr_cli.records import Report
from kmr_cli.render.counts import counted
from kmr_cli.render.dependences import HOW_TO_READ, Mark, Matrix, matrices
from kmr_cli.render.documents.html.elements import Markup, element
from kmr_cli.render.documents.html.page import section

_OPEN, _MOST = 12, 150
"""Outputs whose matrix is shown at once, and in all; a detector may have hundreds. The JSON has them all."""
_NAMED = 6


def dependence(report: Report, prefix: str) -> Markup | None:
    """The part of the page with all matrices; None where there is nothing to say."""
    found = list(matrices(report))
    drawn = sorted((one for one in found if isinstance(one, Matrix)), key=lambda one: not one.mixed)  # mixed ones first
    lines = [one for one in found if isinstance(one, str)]
    if len(drawn) > _MOST:
        lines.append(f"{len(drawn) - _MOST} more outputs; the JSON has all")
    if not found:
        return None
    tables = element("div", *map(_figure, drawn[:_OPEN]), class_="matrices") if drawn else None
    closed = _closed(drawn[_OPEN:_MOST]) if len(drawn) > _OPEN else None
    told = element("ul", *(element("li", line) for line in lines), class_="lines") if lines else None
    note = HOW_TO_READ if drawn else ""
    return section("Dependence between samples", tables, closed, told, name=f"{prefix}-dependence", note=note)


def table(matrix: Matrix, corner: Markup, cell: Callable[[Mark, bool], Markup], class_: str | None = None) -> Markup:
    """A matrix with the numbers of its samples at two sides.

    Args:
        matrix: of one output.
        corner: where these meet.
        cell: draws what became of one sample; True where that was the replaced one itself.
        class_: of the table.
    """
    head = element("tr", corner, *(element("th", sample, scope="col") for sample in range(len(matrix.marks))))
    rows = [
        element("tr", element("th", row, scope="row"), *(cell(mark, row == at) for at, mark in enumerate(marks)))
        for row, marks in enumerate(matrix.marks)
    ]
    return element("table", element("thead", head), element("tbody", *rows), class_=class_)


def _closed(matrices_: list[Matrix]) -> Markup:
    mixing = sum(matrix.mixed > 0 for matrix in matrices_)
    words = f"{counted(len(matrices_), 'more output')}, {mixing or 'none'} of them mixed"
    inside = element("div", *map(_figure, matrices_), class_="matrices")
    return element("details", element("summary", words), inside, class_="inside")


def _figure(matrix: Matrix) -> Markup:
    corner = element("td", element("span", "replaced sample, changed sample", class_="sr"), class_="corner")
    drawn = element("div", table(matrix, corner, _cell, "matrix"), class_="scroll")
    return element("figure", element("figcaption", matrix.title), drawn, element("p", _in_words(matrix)))


def _cell(mark: Mark, own: bool) -> Markup:
    sign, tone, words = {
        "": ("", "none", "did not change"),
        "x": ("●", "good", "changed") if own else ("✕", "bad", "changed"),
        "~": ("~", "warn", "changed in its last bits"),
    }[mark]
    return element(
        "td", element("span", sign, aria_hidden="true"), element("span", words, class_="sr"), class_=f"is-{tone}"
    )


def _in_words(matrix: Matrix) -> str:
    """``Replacing sample 0 changed samples 1 and 2, too.``, for those who do not see the table."""
    moved = {
        row: [at for at, mark in enumerate(marks) if mark == "x" and at != row]
        for row, marks in enumerate(matrix.marks)
    }
    leaks = {row: others for row, others in moved.items() if others}
    still = [row for row, marks in enumerate(matrix.marks) if row < len(marks) and not marks[row]]
    if not leaks:
        bits = any("~" in marks for marks in matrix.marks)
        text = "No sample changed another one" + (" by more than its last bits." if bits else ".")
    elif matrix.mixed == len(matrix.marks) * (len(matrix.marks) - 1):
        text = "Every sample changed every other one."
    else:
        told = [f"sample {row} changed {_listed(others)}" for row, others in list(leaks.items())[:_NAMED]]
        more = f", and {len(leaks) - _NAMED} more changed others" if len(leaks) > _NAMED else ""
        text = f"Replacing {'; '.join(told)}{more}."
    return f"{text} Its own part stayed as it was for {_listed(still)}." if still else text


def _listed(samples: list[int]) -> str:
    named = ", ".join(map(str, samples[:_NAMED])) + (", …" if len(samples) > _NAMED else "")
    return f"sample{'s' if len(samples) > 1 else ''} {named}"
