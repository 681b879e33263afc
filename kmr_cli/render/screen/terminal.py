"""For people: 80 columns, readable without colour."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from kmr_cli.arrays.summary import Summary, summarize
from kmr_cli.batch.words import dtype_name, show_shape
from kmr_cli.formats import facts
from kmr_cli.records import LayerInfo, ModelInfo, Record, TensorSpec
from kmr_cli.render.documents.findings import counted
from kmr_cli.render.escape import for_terminal
from kmr_cli.render.screen.lines import print_hanging
from kmr_cli.render.screen.values import preview

_LABEL = 12
_GAP = 2
_IN_FULL = 12
"""Values up to this many are shown in full; more get a line each."""

_PRESUMED = "~ marks what the file does not declare, but such a model usually takes; data may differ"
_VERDICTS = {
    "separated": "verified",
    "merged": "verified",
    "moved": "verified",
    "reordered": "verified",
    "mixed": "MIXED",
    "interleaved": "INTERLEAVED",
    "constant": "constant",
    "routed": "ROUTED",
    "inconclusive": "INCONCLUSIVE",
}


def show_layers(console: Console, info: ModelInfo, layers: Sequence[LayerInfo], *, long: bool = False) -> None:
    """The tree of a model's layers; ``long`` adds a line to each with what enters, what leaves and the dtype."""
    print_hanging(console, Text(), _head(info))
    for title, specs in (("input", info.inputs), ("output", info.outputs)):
        for spec in specs:
            line = Text(f"{title:<7} ").append(for_terminal(spec.name), "bold").append(f"  {_spec(spec)}")
            print_hanging(console, Text(), line)
    console.print()
    _print_table(console, info, layers, long=long)
    console.print()
    every = len(info.layers)
    shown = counted(every, "layer") if len(layers) == every else f"{len(layers)} of {counted(every, 'layer')}"
    total = f", {_count(info.parameters)} parameters in the model" if info.parameters is not None else ""
    console.print(Text(shown + total))
    presumed = any(spec.presumed for spec in (*info.inputs, *info.outputs))
    for note in (*([_PRESUMED] if presumed else []), *info.notes):
        print_hanging(console, Text(), Text.assemble(("note: ", "bold"), for_terminal(note, 1000)))


def show_layer(console: Console, layer: LayerInfo) -> None:
    """One layer in a line: its path, its type, what enters and what leaves it."""
    line = Text(for_terminal(layer.path), "bold").append(f"  {for_terminal(layer.type)}", "not bold")
    print_hanging(console, Text(), line.append(f"  {_ends(layer)}", "not bold dim"))


def show_record(console: Console, record: Record) -> None:
    """One record, without the model that it comes from."""
    _print_record(console, record, "", bool(record.call))


def show_samples(console: Console, info: ModelInfo, records: Sequence[Record]) -> None:
    """Every record: whose it is, its figures, and a look at its values."""
    types = {layer.path: layer.type for layer in info.layers}
    several_calls = {record.layer for record in records if record.call}
    print_hanging(console, Text(), _head(info))
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
        name = f"{for_terminal(record.layer)}{call} {record.port}"
        rows.append((name, whose, _numbers(record.value.shape), _VERDICTS[record.index.kind], ends))
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
        if _VERDICTS[record.index.kind] not in ("verified", "constant"):
            label = f"{for_terminal(record.layer)} {record.port}"
            whose = "" if record.sample is None else f", sample {record.sample}"
            print_hanging(console, Text(f"{label}{whose}: ", "bold yellow"), Text(record.index.evidence))
    line = f"{len(records)} values, one line each: choose {_IN_FULL} or fewer to see the evidence and the numbers, or"
    print_hanging(console, Text(), Text(f"{line} write all with -o FILE"))


def _print_table(console: Console, info: ModelInfo, layers: Sequence[LayerInfo], *, long: bool) -> None:
    """One line a layer as far as it fits. A path is there to be copied: it is not broken while it fits a line."""
    rows = [
        (_indent(info, layer) + for_terminal(layer.path), for_terminal(layer.type), _outputs(layer),
         _count(layer.parameters))
        for layer in layers
    ]  # fmt: skip
    titles = ("layer", "type", "output", "params")
    widths = [max(cell_len(cell) for cell in column) for column in zip(titles, *rows, strict=True)]
    room = max(console.width, 60) - _GAP * (len(widths) - 1)
    for column, least in ((2, 20), (1, 12), (0, 20)):
        widths[column] = max(min(widths[column], least), widths[column] - max(sum(widths) - room, 0))
    _print_row(console, titles, widths, "bold")
    for layer, cells in zip(layers, rows, strict=True):
        row = cells
        style = "dim" if layer.untappable else ""
        if cell_len(row[0]) > widths[0]:
            print_hanging(console, Text(), Text(row[0], style))
            row = ("", *cells[1:])
        _print_row(console, row, widths, style)
        if long:
            print_hanging(console, Text(f"{_indent(info, layer)}    "), Text(_ends(layer), "dim"))
        if layer.untappable:
            label = Text(f"{_indent(info, layer)}  no tap: ", "dim")
            print_hanging(console, label, Text(for_terminal(layer.untappable), "dim"))


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


def _indent(info: ModelInfo, layer: LayerInfo) -> str:
    return "  " * layer.path.count(info.separator)


def _head(info: ModelInfo) -> Text:
    title = for_terminal(facts.title(info.format))
    writer = for_terminal(info.writer)
    written = writer if title in writer else f"{title}, written by {writer}"
    return Text(for_terminal(info.path), "bold").append(f"  {written}", "not bold")


def _ends(layer: LayerInfo) -> str:
    """``(batch, 8, 8, 1) -> (batch, 8, 8, 16)  float32``, as far as the file tells."""
    enters, leaves = (
        ", ".join(show_shape(spec.shape, spec.symbols) for spec in specs) or "?"
        for specs in (layer.inputs, layer.outputs)
    )
    return f"{enters} -> {leaves}  {for_terminal(layer.dtype or 'dtype not specified')}"


def _spec(spec: TensorSpec) -> str:
    if spec.shape is None and spec.dtype is None:
        return ""
    shape, dtype, limit = (
        "~" if any(part in spec.presumed for part in parts) else ""
        for parts in (("rank", "sizes"), ("dtype",), ("limit",))
    )
    below = f", {limit}below {spec.limit}" if spec.limit is not None else ""
    return f"{shape}{show_shape(spec.shape, spec.symbols)} {dtype}{for_terminal(spec.dtype or '?')}{below}"


def _outputs(layer: LayerInfo) -> str:
    shapes = " ".join(show_shape(spec.shape, spec.symbols) for spec in layer.outputs if spec.shape is not None)
    calls = "" if layer.calls == 1 else f" {layer.calls} calls" if layer.calls is not None else ""
    return (shapes + calls).strip()


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _print_record(console: Console, record: Record, type_: str, several_calls: bool) -> None:
    call = f" call {record.call}" if several_calls else ""
    title = Text(f"{for_terminal(record.layer)}{call} {record.port}", "bold cyan")
    if type_:
        title.append(f"  {for_terminal(type_)}", "not bold default")
    print_hanging(console, Text(), title)
    lines = [("batch", _tensor(record)), ("evidence", _verdict(record))]
    if record.value.size:
        figures = _figures(summarize(record.value))
        lines += [(label, Text(line)) for label, line in zip(("values", ""), figures, strict=False)]
        lines += [(label, Text(line)) for label, line in preview(record.value, 80 - _LABEL)]
    else:
        lines.append(("values", Text("none: an empty tensor")))
    for label, text in lines:
        print_hanging(console, Text(f"  {label}".ljust(_LABEL), "dim"), text)


def _tensor(record: Record) -> Text:
    text = Text(f"{_numbers(record.shape)} {dtype_name(record.value.dtype)}")
    if record.sample is None:
        return text.append("; whole tensor shown")
    return text.append(f"; sample {record.sample} is {_numbers(record.value.shape)}")


def _verdict(record: Record) -> Text:
    index = record.index
    axis = (
        "" if index.axis is None or index.kind in ("mixed", "inconclusive") else f", {index.kind} on axis {index.axis}"
    )
    word = _VERDICTS[index.kind]
    style = "green" if word in ("verified", "constant") else "bold yellow"
    return Text(word, style).append(f"{axis}: {index.evidence}" if index.evidence else axis, "not bold default")


def _figures(summary: Summary) -> list[str]:
    if summary.minimum is None and not summary.nans and not summary.infinities:
        return [f"{summary.size:,} texts"]
    numbers = "nothing finite"
    if summary.minimum is not None:
        named = {"min": summary.minimum, "max": summary.maximum, "mean": summary.mean, "std": summary.deviation}
        numbers = "  ".join(f"{name} {figure:.4g}" for name, figure in named.items())
    counts = f"zeros {summary.zeros:,} of {summary.size:,}  NaN {summary.nans:,}  Inf {summary.infinities:,}"
    return [numbers, counts]


def _numbers(shape: Sequence[int]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
