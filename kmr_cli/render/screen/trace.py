"""One pass as a map: a line for every value, a character for every sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from kmr_cli.batch.words import count_samples, name_samples
from kmr_cli.records import Condition, Finding, Trace, TracedValue
from kmr_cli.render.escape import for_terminal
from kmr_cli.render.health import NOTHING_BEGINS, SIGNS, WHOLE, Row, place, rows, said, seen, shown_values, titles
from kmr_cli.render.screen.lines import print_hanging

_STYLE_OF: dict[Condition, str] = {
    "NaN": "bold white on red", "Inf": "bold white on magenta", "dead": "blue", "saturated": "bold yellow",
}  # fmt: skip
_RAMP = ".:-=+*#"
"""A character for every step."""
_NAME = 24
_FIGURES = 9
_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "cyan"}


def show_trace(console: Console, trace: Trace) -> None:
    """The map of what layers returned, where NaN or Inf begins, and what else a reader should look at."""
    order = "; samples from left to right" if trace.samples > 1 else ""
    print_hanging(console, Text(), Text(f"{count_samples(trace.samples)}, one pass{order}"))
    values = shown_values(trace)
    if values:
        console.print()
        _print_map(console, trace, values)
    console.print()
    for text in _told(trace):
        print_hanging(console, Text(), text)


def _print_map(console: Console, trace: Trace, values: Sequence[TracedValue]) -> None:
    names = titles(values)
    name = min(max(map(cell_len, names)), max(_NAME, console.width - _FIGURES - 4 - trace.samples))
    room = max(console.width - name - _FIGURES - 4, 8)
    each = -(-trace.samples // room)
    head = f"{'layer'.ljust(name)}  {'largest'.rjust(_FIGURES)}  {'sample' if trace.samples == 1 else 'samples'}"
    print_hanging(console, Text(), Text(head, "bold"))
    for row in rows(values, each):
        figure = "" if row.largest is None else f"{row.largest:.4g}"
        shown = row.title if cell_len(row.title) <= name else "…" + row.title[-(name - 1) :]
        line = Text(f"{shown.ljust(name)}  {figure.rjust(_FIGURES)}  ")
        print_hanging(console, Text(), line.append_text(_marks(row)))
    if each > 1:
        print_hanging(console, Text(), Text(f"each character stands for {each} samples, and shows the worst of them"))


def _marks(row: Row) -> Text:
    marks = Text()
    for mark in row.marks:
        if isinstance(mark, int):
            marks.append(_RAMP[mark])
        else:
            marks.append(SIGNS[mark][0], _STYLE_OF[mark])
    return marks if row.value.axis is not None else marks.append(f" ({WHOLE})", "dim")


def _told(trace: Trace) -> Iterator[Text]:
    signs = ", ".join(" ".join(SIGNS[one]) for one in seen(trace))
    largest = f"{_RAMP[0]} to {_RAMP[-1]} largest magnitude beside the line's own largest"
    yield Text(f"{signs}; {largest}" if signs else largest, "dim")
    if trace.given:
        yield Text(f"NaN or Inf is in the batch itself: {name_samples(trace.given)}", "bold yellow")
    for finding in trace.findings:
        yield _finding(finding)
    if not trace.findings and trace.failed is None:
        yield Text(NOTHING_BEGINS, "green")


def _finding(finding: Finding) -> Text:
    text = Text(f"{finding.rule} {finding.severity}", _STYLES[finding.severity])
    return text.append(f"  {for_terminal(place(finding))}: {for_terminal(said(finding), 1000)}", "not bold default")
