"""One pass as a map: a line for every value, a character for every sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from kmr_cli.batch.words import count_samples, name_samples
from kmr_cli.records import Condition, Finding, Trace, TracedValue
from kmr_cli.render.escape import for_terminal
from kmr_cli.render.screen.lines import print_hanging

_SIGNS: dict[Condition, tuple[str, str]] = {
    "NaN": ("N", "bold white on red"),
    "Inf": ("I", "bold white on magenta"),
    "dead": ("0", "blue"),
    "saturated": ("S", "bold yellow"),
}
"""Worst first, each with its style."""
_RAMP = ".:-=+*#"
"""From next to nothing to the largest of the line, each twice as large as the one before."""
_NAME = 24
_FIGURES = 9
_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "cyan"}


def show_trace(console: Console, trace: Trace) -> None:
    """The map of what layers returned, where NaN or Inf begins, and what else a reader should look at."""
    order = "; samples from left to right" if trace.samples > 1 else ""
    print_hanging(console, Text(), Text(f"{count_samples(trace.samples)}, one pass{order}"))
    begins = {(one.layer, one.call, one.port) for one in trace.findings}
    lines = [
        value for value in trace.values
        if value.port.startswith("out") or (value.layer, value.call, value.port) in begins
    ]  # fmt: skip
    if lines:
        console.print()
        _print_map(console, trace, lines)
    console.print()
    for text in _told(trace):
        print_hanging(console, Text(), text)


def _print_map(console: Console, trace: Trace, lines: Sequence[TracedValue]) -> None:
    several = {value.layer for value in lines if value.call}
    names = [_name(value, several) for value in lines]
    name = min(max(map(cell_len, names)), max(_NAME, console.width - _FIGURES - 4 - trace.samples))
    room = max(console.width - name - _FIGURES - 4, 8)
    each = -(-trace.samples // room)
    head = f"{'layer'.ljust(name)}  {'largest'.rjust(_FIGURES)}  {'sample' if trace.samples == 1 else 'samples'}"
    print_hanging(console, Text(), Text(head, "bold"))
    for title, value in zip(names, lines, strict=True):
        largest = max((one for one in value.largest if one is not None), default=None)
        figure = "" if largest is None else f"{largest:.4g}"
        shown = title if cell_len(title) <= name else "…" + title[-(name - 1) :]
        line = Text(f"{shown.ljust(name)}  {figure.rjust(_FIGURES)}  ")
        print_hanging(console, Text(), line.append_text(_marks(value, each)))
    if each > 1:
        print_hanging(console, Text(), Text(f"each character stands for {each} samples, and shows the worst of them"))


def _name(value: TracedValue, several: set[str]) -> str:
    if not value.layer:
        return f"(output {value.port})"
    call = f" call {value.call}" if value.layer in several else ""
    port = "" if value.port == "out0" else f" {value.port}"
    return f"{for_terminal(value.layer)}{call}{port}"


def _marks(value: TracedValue, each: int) -> Text:
    marks = Text()
    conditions = value.conditions
    order = (*_SIGNS, "")
    top = max((one for one in value.largest if one is not None), default=0.0)
    for first in range(0, len(conditions), each):
        group = slice(first, first + each)
        worst = min(conditions[group], key=order.index)
        if worst:
            marks.append(*_SIGNS[worst])
            continue
        largest = max((one for one in value.largest[group] if one is not None), default=0.0)
        marks.append(_RAMP[_step(largest, top)])
    return marks if value.axis is not None else marks.append(" (all samples: no axis is as long as the batch)", "dim")


def _step(largest: float, top: float) -> int:
    step = len(_RAMP) - 1
    while step and largest < top:
        step, largest = step - 1, largest * 2
    return step


def _told(trace: Trace) -> Iterator[Text]:
    seen = {one for value in trace.values for one in value.conditions}
    words = {"NaN": "NaN", "Inf": "Inf", "dead": "all zeros", "saturated": "over half at the layer's limit"}
    signs = ", ".join(f"{_SIGNS[one][0]} {words[one]}" for one in _SIGNS if one in seen)
    largest = f"{_RAMP[0]} to {_RAMP[-1]} largest magnitude beside the line's own largest"
    yield Text(f"{signs}; {largest}" if signs else largest, "dim")
    if trace.given:
        yield Text(f"NaN or Inf is in the batch itself: {name_samples(trace.given)}", "bold yellow")
    for finding in trace.findings:
        yield _finding(finding)
    if not trace.findings and trace.failed is None:
        yield Text("no NaN or Inf begins in the model", "green")


def _finding(finding: Finding) -> Text:
    where = "the code between layers" if not finding.layer else f"{for_terminal(finding.layer)} {finding.port}"
    text = Text(f"{finding.rule} {finding.severity}", _STYLES[finding.severity])
    text.append(f"  {where}: {finding.message}", "not bold default")
    if finding.severity == "note":
        text.append("; the outputs are finite", "not bold default")
    return text
