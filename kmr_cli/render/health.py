"""One pass as a map of rows, a value each, and columns, a sample or a few: for the screen and for a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from kmr_cli.records import Condition, Finding, Trace, TracedValue
from kmr_cli.render.escape import for_terminal

Mark: TypeAlias = "Condition | int"
"""What is wrong with a sample's part of a value, else its largest magnitude: a step of :data:`STEPS`."""

STEPS = 7
"""From next to nothing to the largest of the row, each twice as large as the one before."""
SIGNS: dict[Condition, tuple[str, str]] = {
    "NaN": ("N", "NaN"),
    "Inf": ("I", "Inf"),
    "dead": ("0", "all zeros"),
    "saturated": ("S", "over half at the layer's limit"),
}
"""The worst first: a character, and what it stands for."""
WHOLE = "all samples: no axis is as long as the batch"
"""Of a row with one mark alone."""
NOTHING_BEGINS = "no NaN or Inf begins in the model"


@dataclass(frozen=True)
class Row:
    """One value.

    Attributes:
        title: the layer, with call and port where these say something.
        value: that it is of.
        largest: finite magnitude; None where there is none.
        marks: one for every column; one alone where no axis is known to carry the samples.
    """

    title: str
    value: TracedValue
    largest: float | None
    marks: tuple[Mark, ...]


def shown_values(trace: Trace) -> list[TracedValue]:
    """What layers and the model returned, and where something begins."""
    begins = {(one.layer, one.call, one.port) for one in trace.findings}
    return [
        value for value in trace.values
        if value.port.startswith("out") or (value.layer, value.call, value.port) in begins
    ]  # fmt: skip


def titles(values: Sequence[TracedValue]) -> list[str]:
    """How each is called, in one line."""
    several = {value.layer for value in values if value.call}
    return [_title(value, several) for value in values]


def rows(values: Sequence[TracedValue], each: int) -> Iterator[Row]:
    """The map; of ``each`` samples that share a column the worst is shown."""
    for title, value in zip(titles(values), values, strict=True):
        top = max((one for one in value.largest if one is not None), default=None)
        yield Row(title, value, top, tuple(_marks(value, each, top or 0.0)))


def seen(trace: Trace) -> list[Condition]:
    """The conditions that occur, worst first."""
    found = {one for value in trace.values for one in value.conditions}
    return [one for one in SIGNS if one in found]


def place(finding: Finding) -> str:
    """Where it begins: a layer and what leaves or enters it, or the code between them."""
    return f"{finding.layer} {finding.port}" if finding.layer else "the code between layers"


def said(finding: Finding) -> str:
    """What begins, and whether it matters to the outputs."""
    return f"{finding.message}{'; the outputs are finite' if finding.severity == 'note' else ''}"


def _title(value: TracedValue, several: set[str]) -> str:
    if not value.layer:
        return f"(output {value.port})"
    call = f" call {value.call}" if value.layer in several else ""
    port = "" if value.port == "out0" else f" {value.port}"
    return f"{for_terminal(value.layer)}{call}{port}"


def _marks(value: TracedValue, each: int, top: float) -> Iterator[Mark]:
    conditions, order = value.conditions, (*SIGNS, "")
    for first in range(0, len(conditions), each):
        group = slice(first, first + each)
        worst = min(conditions[group], key=order.index)
        largest = max((one for one in value.largest[group] if one is not None), default=0.0)
        yield worst or _step(largest, top)


def _step(largest: float, top: float) -> int:
    step = STEPS - 1
    while step and largest < top:
        step, largest = step - 1, largest * 2
    return step
