"""For people: 80 columns, readable without colour."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from kmr_cli.arrays.summary import summarize
from kmr_cli.batch.words import dtype_name
from kmr_cli.records import ModelInfo, Record
from kmr_cli.render.escape import for_terminal
from kmr_cli.render.screen.blocks import picture_lines
from kmr_cli.render.screen.layers import head
from kmr_cli.render.screen.lines import print_hanging
from kmr_cli.render.screen.values import preview
from kmr_cli.render.whose import WORDS, axis_of, figures, is_known, word_for

_LABEL = 12
_GAP = 2
_IN_FULL = 12
"""Values up to this many are shown in full; more get a line each."""


def show_record(console: Console, record: Record) -> None:
    """One record, without the model that it comes from."""
    _print_record(console, record, "", bool(record.call))


def show_samples(console: Console, info: ModelInfo, records: Sequence[Record]) -> None:
    """Every record: whose it is, its figures, and a look at its values."""
    types = {layer.path: layer.type for layer in info.layers}
    several_calls = {record.layer for record in records if record.call}
    print_hanging(console, Text(), head(info))
    if len(records) > _IN_FULL:
        _print_many(console, records, several_calls)
        return
    for record in records:
        console.print()
        _print_record(console, record, types.get(record.layer, ""), record.layer in several_calls)


def _print_many(console: Console, records: Sequence[Record], several_calls: set[str]) -> None:
    """One line a value; whose values are not verified is said below."""
    rows = []
    for record in records:
        call = f" call {record.call}" if record.layer in several_calls else ""
        summary = summarize(record.value)
        ends = "" if summary.minimum is None else f"{summary.minimum:.4g} to {summary.maximum:.4g}"
        whose = "all" if record.sample is None else str(record.sample)
        name = f"{for_terminal(record.layer)}{call} {record.port}{_from(record)}"
        rows.append((name, whose, _numbers(record.value.shape), WORDS[record.index.kind], ends))
    titles = ("layer and port", "sample", "shape", "evidence", "values")
    widths = [max(cell_len(cell) for cell in column) for column in zip(titles, *rows, strict=True)]
    room = max(console.width, 60) - _GAP * (len(widths) - 1)
    widths[0] = max(min(widths[0], 16), widths[0] - max(sum(widths) - room, 0))
    console.print()
    _print_row(console, titles, widths, "bold")
    for row in rows:
        _print_row(console, row, widths, "")
    console.print()
    for record in records:
        if not is_known(record):
            label = f"{for_terminal(record.layer)} {record.port}"
            whose = "" if record.sample is None else f", sample {record.sample}"
            print_hanging(console, Text(f"{label}{whose}: ", "bold yellow"), Text(_evidence(record)))
    line = f"{len(records)} values, one line each: choose {_IN_FULL} or fewer to see the evidence and the numbers, or"
    print_hanging(console, Text(), Text(f"{line} write all with -o FILE"))


def _print_row(console: Console, row: Sequence[str], widths: Sequence[int], style: str) -> None:
    cells = [list(Text(cell).wrap(console, width, overflow="fold")) for cell, width in zip(row, widths, strict=True)]
    for number in range(max(map(len, cells))):
        line = Text(style=style)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            part = cell[number].plain.rstrip() if number < len(cell) else ""
            blanks = " " * (width - cell_len(part))
            line.append(blanks + part if column == len(widths) - 1 else part + blanks + " " * _GAP)
        line.rstrip()
        console.print(line, soft_wrap=True)


def _print_record(console: Console, record: Record, type_: str, several_calls: bool) -> None:
    call = f" call {record.call}" if several_calls else ""
    title = Text(f"{for_terminal(record.layer)}{call} {record.port}", "bold cyan")
    if type_:
        title.append(f"  {for_terminal(type_)}", "not bold default")
    title.append(_from(record), "not bold default")
    print_hanging(console, Text(), title)
    lines = [("batch", _tensor(record)), ("evidence", _verdict(record))]
    if record.value.size:
        told = figures(summarize(record.value))
        lines += [(label, Text(line)) for label, line in zip(("values", ""), told, strict=False)]
        lines += [(label, Text(line)) for label, line in preview(record.value, 80 - _LABEL)]
        lines += picture_lines(record.value, console, max(console.width, 60) - _LABEL)
    else:
        lines.append(("values", Text("none: an empty tensor")))
    for label, text in lines:
        print_hanging(console, Text(f"  {label}".ljust(_LABEL), "dim"), text)


def _from(record: Record) -> str:
    """Of which inputs of the model a call of a shared layer is."""
    return f"  from {', '.join(map(for_terminal, record.inputs))}" if record.inputs else ""


def _tensor(record: Record) -> Text:
    text = Text(f"{_numbers(record.shape)} {dtype_name(record.value.dtype)}")
    if record.sample is None:
        return text.append("; whole tensor shown")
    return text.append(f"; sample {record.sample} is {_numbers(record.value.shape)}")


def _verdict(record: Record) -> Text:
    index = record.index
    axis = "constant" if index.proven and index.axis is None else axis_of(index)
    text = Text(word_for(record), "green" if is_known(record) else "bold yellow")
    evidence = _evidence(record)
    return text.append(f"{axis and f', {axis}'}{evidence and f': {evidence}'}", "not bold default")


def _evidence(record: Record) -> str:
    return for_terminal(record.index.evidence, 1000)


def _numbers(shape: Sequence[int]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
