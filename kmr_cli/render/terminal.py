"""For people: 80 columns, readable without colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from kmr_cli.batch import show_shape
from kmr_cli.records import LayerInfo, ModelInfo, Record, TensorSpec
from kmr_cli.render.escape import for_terminal
from kmr_cli.render.json import dtype_name
from kmr_cli.summary import Summary, summarize

_PREVIEW_WIDTH = 76
_EDGE = 3

_VERDICTS = {
    "separated": "proven",
    "merged": "proven",
    "moved": "proven",
    "reordered": "proven",
    "mixed": "MIXED",
    "interleaved": "INTERLEAVED",
    "constant": "constant",
    "routed": "ROUTED",
    "unproven": "NOT PROVEN",
}


def show_layers(console: Console, info: ModelInfo, layers: Sequence[LayerInfo]) -> None:
    """The tree of a model's layers."""
    console.print(_head(info.path, info.writer))
    for title, specs in (("input", info.inputs), ("output", info.outputs)):
        for spec in specs:
            console.print(Text(f"{title:<7} ").append(for_terminal(spec.name), "bold").append(f"  {_spec(spec)}"))
    console.print()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False, header_style="bold")
    table.add_column("layer", overflow="fold", ratio=5)
    table.add_column("type", overflow="fold")
    table.add_column("output", overflow="fold")
    table.add_column("parameters", justify="right", no_wrap=True)
    for layer in layers:
        depth = layer.path.count(info.separator)
        name = Text("  " * depth + for_terminal(layer.path), style="dim" if layer.untappable else "")
        table.add_row(name, for_terminal(layer.type), _outputs(layer), _count(layer.parameters))
        if layer.untappable:
            table.add_row(Text(f"{'  ' * depth}  no tap: {for_terminal(layer.untappable)}", style="dim"))
    console.print(table)
    console.print()
    shown = (
        f"{len(layers)} layers" if len(layers) == len(info.layers) else f"{len(layers)} of {len(info.layers)} layers"
    )
    total = f", {_count(info.parameters)} parameters in the model" if info.parameters is not None else ""
    console.print(Text(shown + total))
    for note in info.notes:
        console.print(Text("note: ", "bold").append(for_terminal(note, 1000)))


def show_samples(console: Console, info: ModelInfo, records: Sequence[Record]) -> None:
    """Every record: whose it is, its figures, and a look at its values."""
    types = {layer.path: layer.type for layer in info.layers}
    several_calls = {record.layer for record in records if record.call}
    console.print(_head(info.path, info.writer))
    for record in records:
        console.print()
        console.print(_record(record, types.get(record.layer, ""), record.layer in several_calls))


def _head(path: str, writer: str) -> Text:
    return Text(for_terminal(path), "bold").append(f"  {for_terminal(writer)}", "not bold")


def _spec(spec: TensorSpec) -> str:
    if spec.shape is None and spec.dtype is None:
        return ""
    limit = f", below {spec.limit}" if spec.limit is not None else ""
    return f"{show_shape(spec.shape)} {spec.dtype or '?'}{limit}"


def _outputs(layer: LayerInfo) -> str:
    shapes = " ".join(show_shape(spec.shape) for spec in layer.outputs if spec.shape is not None)
    calls = "" if layer.calls == 1 else f" {layer.calls} calls" if layer.calls is not None else ""
    return (shapes + calls).strip()


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _record(record: Record, type_: str, several_calls: bool) -> RenderableType:
    call = f" call {record.call}" if several_calls else ""
    title = Text(f"{for_terminal(record.layer)}{call} {record.port}", "bold cyan")
    if type_:
        title.append(f"  {for_terminal(type_)}", "not bold default")
    lines: list[RenderableType] = [title, _indented("batch", _tensor(record)), _indented("proof", _verdict(record))]
    if record.value.size:
        figures = _figures(summarize(record.value))
        lines += [_indented(label, Text(line)) for label, line in zip(("values", ""), figures, strict=False)]
        lines += [_indented(label, Text(line)) for label, line in _preview(record.value)]
    else:
        lines.append(_indented("values", Text("none: an empty tensor")))
    return Group(*lines)


def _tensor(record: Record) -> Text:
    text = Text(f"{_numbers(record.shape)} {dtype_name(record.value)}")
    if record.sample is None:
        return text.append("; whole tensor shown")
    return text.append(f"; sample {record.sample} is {_numbers(record.value.shape)}")


def _verdict(record: Record) -> Text:
    index = record.index
    axis = "" if index.axis is None or index.kind in ("mixed", "unproven") else f", {index.kind} on axis {index.axis}"
    word = _VERDICTS[index.kind]
    style = "green" if word in ("proven", "constant") else "bold yellow"
    return Text(word, style).append(f"{axis}: {index.proof}" if index.proof else axis, "not bold default")


def _figures(summary: Summary) -> list[str]:
    if summary.minimum is None and not summary.nans and not summary.infinities:
        return [f"{summary.size:,} texts"]
    numbers = "nothing finite"
    if summary.minimum is not None:
        named = {"min": summary.minimum, "max": summary.maximum, "mean": summary.mean, "std": summary.deviation}
        numbers = "  ".join(f"{name} {figure:.4g}" for name, figure in named.items())
    counts = f"zeros {summary.zeros:,} of {summary.size:,}  NaN {summary.nans:,}  Inf {summary.infinities:,}"
    return [numbers, counts]


def _preview(value: np.ndarray) -> list[tuple[str, str]]:
    plane, label = _plane(value)
    if plane.dtype == object:
        lines = [for_terminal(repr(item), _PREVIEW_WIDTH - 10) for item in plane.ravel()[: 2 * _EDGE].tolist()]
    else:
        wide = plane.astype(np.float64) if plane.dtype.kind == "V" else plane
        with np.printoptions(
            precision=4, suppress=True, edgeitems=_EDGE, threshold=64, linewidth=_PREVIEW_WIDTH - 10, floatmode="fixed"
        ):
            lines = str(wide).splitlines()
    return [(label if number == 0 else "", line) for number, line in enumerate(lines)]


def _plane(value: np.ndarray) -> tuple[np.ndarray, str]:
    """At most two axes to look at: an image's first channel, else the first of everything further out."""
    if value.ndim <= 2:
        return value, "all"
    if value.ndim == 3 and value.shape[0] == value.shape[1] != value.shape[2]:
        return value[:, :, 0], "[:, :, 0]"
    place = (0,) * (value.ndim - 2)
    return value[place], f"[{', '.join(['0'] * len(place) + [':', ':'])}]"


def _numbers(shape: Sequence[int]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def _indented(label: str, text: Text) -> Table:
    """A label and its text; what is too long continues under the text, not under the label."""
    grid = Table.grid(padding=0)
    grid.add_column(width=12)
    grid.add_column(overflow="fold")
    grid.add_row(Text(f"  {label}", "dim"), text)
    return grid
