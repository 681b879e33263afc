"""The table of measurements in README.md: every row with the day on which it was measured, replaced one by one.

What stands beside other programs is repeated, in short, in the README of the project.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from pathlib import Path

from processes import Ratio

README = Path(__file__).parent / "README.md"
PROJECT = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
HEAD = (
    "| what | against | ratio (median, lowest to highest) | target | ours | theirs | pairs | measured | |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
)


BESIDE = (
    ("list the layers of a `.pt2`", "`layers`, transformer of 113 MB, `.pt2`"),
    ("list the layers of an ONNX file", "`layers`, transformer of 113 MB, ONNX"),
    ("look at one layer of an ONNX file", "`sample` of one layer, the same ONNX file"),
    ("write all values of a data set, ONNX", "`dump` of all layers, ResNet-18-sized ONNX"),
    ("the same, into one `.h5`", "`dump` of all layers, ResNet-18-sized ONNX, one `.h5`"),
    ("write all values of a data set, `.pt2`", "`dump` of all layers, ResNet-18-sized `.pt2`"),
    ("the same", "`dump` of all layers, ResNet-18-sized `.pt2`, one data set"),
    (
        "all values of one pass, ours with proof of whose they are",
        "`sample` of all layers and samples with proof, ResNet-18-sized `.pt2`",
    ),
)
"""What the README of the project shows: in its words, and as the rows here are named, time and memory apart."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    against: str
    target: float
    result: Ratio
    note: str = ""
    unit: str = "s"

    def __str__(self) -> str:
        found = self.result
        mark = "" if found.ratio <= self.target else " **missed**"
        return (
            f"| {self.what} | {self.against} | {found.ratio:.3f} ({found.low:.3f} to {found.high:.3f}){mark} |"
            f" ≤ {self.target:g} | {found.ours:.3f} {self.unit} | {found.theirs:.3f} {self.unit} | {found.pairs}"
            f" | {date.today()}{', CPU time' if found.by_cpu else ''} | {self.note} |"
        )


def written(text: str) -> dict[str, str]:
    """The rows of a README, by what was measured."""
    lines = text[text.index(BEGIN) : text.index(END)].splitlines()
    rows = [line for line in lines if line.startswith("| ") and line not in HEAD]
    return {row.split(" | ", 1)[0].removeprefix("| "): row for row in rows}


def merged(text: str, rows: Iterable[Row], order: Sequence[str]) -> str:
    """The README with new rows in place of those that measured the same, or beside the others.

    Args:
        text: of the README.
        rows: the new ones.
        order: what there is to measure, row by row; others are left out.
    """
    known = written(text) | {row.what: str(row) for row in rows}
    names = ("keras", "tensorflow", "torch", "onnxruntime", "numpy")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    lines = [
        *HEAD,
        *(known[what] for what in order if what in known),
        "",
        f"Last written on {platform.machine()}, Python {platform.python_version()}, {versions}.",
    ]
    before, after = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    return before + "\n" + "\n".join(lines) + "\n" + after


def beside(text: str, measured: str) -> str:
    """The README of the project with what was measured beside other programs.

    Args:
        text: of that README.
        measured: the README of this folder.
    """
    known = written(measured)
    lines = ["| | beside | time | memory |", "| --- | --- | --- | --- |"]
    for words, what in BESIDE:
        time = known.get(what) or known.get(f"{what}, time")
        memory = known.get(f"{what}, memory")
        if time is not None and memory is not None:
            lines.append(f"| {words} | {time.split(' | ')[1]} | {_share(time)} | {_share(memory)} |")
    before, after = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    return before + "\n" + "\n".join(lines) + "\n" + after


def _share(row: str) -> str:
    return f"{float(row.split(' | ')[2].split()[0]):.2f}"


def write(rows: Iterable[Row], order: Sequence[str]) -> None:
    """Put rows into README.md, and what stands beside other programs into that of the project."""
    README.write_text(merged(README.read_text(), rows, order))
    PROJECT.write_text(beside(PROJECT.read_text(), README.read_text()))
