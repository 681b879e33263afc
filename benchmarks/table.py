"""The table of measurements in README.md: every row with the day on which it was measured, replaced one by one."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from pathlib import Path

from processes import Ratio

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
HEAD = (
    "| what | against | ratio (median, lowest to highest) | target | ours | theirs | pairs | measured | |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
)


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


def write(rows: Iterable[Row], order: Sequence[str]) -> None:
    """Put rows into README.md."""
    README.write_text(merged(README.read_text(), rows, order))
