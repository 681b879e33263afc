"""The layers of a model for people: a tree that reads well on 80 columns, and on 60."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from kmr_cli.batch.words import show_shape
from kmr_cli.formats import facts
from kmr_cli.records import LayerInfo, ModelInfo, TensorSpec
from kmr_cli.render.counts import counted
from kmr_cli.render.escape import for_terminal
from kmr_cli.render.screen.columns import Row, print_columns
from kmr_cli.render.screen.lines import print_hanging
from kmr_cli.render.tree import Line, lines, shapes_of

_PRESUMED = "~ marks what the file does not declare, but such a model usually takes; data may differ"
_FEW_CALLS = 4
"""Of up to as many calls of a layer it is said which inputs they depend on."""
_TITLES = ("layer", "type", "output", "params")


def show_layers(
    console: Console, info: ModelInfo, layers: Sequence[LayerInfo], *, long: bool = False, every: bool = False
) -> None:
    """The tree of a model's layers.

    Args:
        console: where to.
        info: the model.
        layers: all of its layers, or some.
        long: add a line to each with what enters, what leaves and the dtype.
        every: show repeated blocks, and containers that never run, as well.
    """
    print_hanging(console, Text(), head(info))
    for title, specs in (("input", info.inputs), ("output", info.outputs)):
        for spec in specs:
            line = Text(f"{title:<7} ").append(for_terminal(spec.name), "bold").append(f"  {_spec(spec)}")
            print_hanging(console, Text(), line)
    console.print()
    tree = lines(layers, info.separator, fold=not every)
    print_columns(console, _TITLES, list(_rows(tree, long=long)))
    console.print()
    for text in _summary(info, layers, tree):
        print_hanging(console, Text(), Text(text))
    presumed = any(spec.presumed for spec in (*info.inputs, *info.outputs))
    for note in (*([_PRESUMED] if presumed else []), *info.notes):
        print_hanging(console, Text(), Text.assemble(("note: ", "bold"), for_terminal(note, 1000)))


def show_layer(console: Console, layer: LayerInfo) -> None:
    """One layer in a line: its path, its type, what enters and what leaves it."""
    line = Text(for_terminal(layer.path), "bold").append(f"  {for_terminal(layer.type)}", "not bold")
    print_hanging(console, Text(), line.append(f"  {_ends(layer)}", "not bold dim"))


def head(info: ModelInfo) -> Text:
    """Where the model is, and what wrote it."""
    title = for_terminal(facts.title(info.format))
    writer = for_terminal(info.writer)
    written = writer if title in writer else f"{title}, written by {writer}"
    return Text(for_terminal(info.path), "bold").append(f"  {written}", "not bold")


def _summary(info: ModelInfo, layers: Sequence[LayerInfo], tree: Sequence[Line]) -> Iterator[str]:
    every, shown = len(info.layers), sum(line.layer is not None for line in tree)
    number = counted(every, "layer") if len(layers) == every else f"{len(layers)} of {counted(every, 'layer')}"
    total = f", {_count(info.parameters)} parameters in the model" if info.parameters is not None else ""
    yield number + total
    if info.parameters_outside:
        yield f"{_count(info.parameters_outside)} of them in no layer that is listed, but in the model's own code"
    if shown < len(layers):
        yield f"{shown} of them shown: repeated blocks once, and no container that never runs; --every shows all"
    inside = next((line.layer.path for line in tree if line.depth and line.layer is not None), None)
    if inside is not None:
        yield f"a path includes the names above it: {for_terminal(inside)}"


def _rows(tree: Sequence[Line], *, long: bool) -> Iterator[Row]:
    above: dict[int, LayerInfo] = {}
    for line in tree:
        margin = "  " * line.depth
        if line.layer is None:
            alike = f"{margin}{for_terminal(line.label)}: {line.alike} more like {for_terminal(line.like)}"
            yield Row((), style="dim", below=(alike,))
            continue
        layer = line.layer
        below = []
        if long:
            below.append(f"{margin}    {_ends(layer)}")
        if layer.untappable:
            below.append(f"{margin}  no tap: {for_terminal(layer.untappable)}")
        above[line.depth] = layer
        outputs = _outputs(layer, above.get(line.depth - 1))
        cells = ((margin + for_terminal(line.label),), (for_terminal(layer.type),), outputs,
                 (_count(layer.parameters),))  # fmt: skip
        yield Row(cells, style="dim" if layer.untappable else "", below=tuple(below))


def _ends(layer: LayerInfo) -> str:
    """``(batch, 8, 8, 1) -> (batch, 8, 8, 16)  float32``, as far as the file tells."""
    enters, leaves = (
        ", ".join(for_terminal(spec.kind) if spec.kind else show_shape(spec.shape, spec.symbols) for spec in specs)
        or "?"
        for specs in (layer.inputs, layer.outputs)
    )
    return f"{enters} -> {leaves}  {for_terminal(layer.dtype or 'dtype not specified')}"


def _spec(spec: TensorSpec) -> str:
    if spec.kind is not None:
        return for_terminal(spec.kind)
    if spec.shape is None and spec.dtype is None:
        return ""
    shape, dtype, limit = (
        "~" if any(part in spec.presumed for part in parts) else ""
        for parts in (("rank", "sizes"), ("dtype",), ("limit",))
    )
    below = f", {limit}below {spec.limit}" if spec.limit is not None else ""
    sparse = "sparse " if spec.sparse else ""
    return f"{shape}{show_shape(spec.shape, spec.symbols)} {sparse}{dtype}{for_terminal(spec.dtype or '?')}{below}"


def _outputs(layer: LayerInfo, above: LayerInfo | None) -> tuple[str, ...]:
    """Every output's shape, and how often the layer runs if that is not once; what the one above says, not again."""
    shapes = shapes_of(layer.outputs)
    from_ = "" if above is not None and above.call_inputs == layer.call_inputs else _from(layer)
    calls = [] if layer.calls in (1, None) else [f"{layer.calls} calls{from_}"]
    return (*shapes, *calls)


def _from(layer: LayerInfo) -> str:
    """From which of the model's inputs each of a few calls is."""
    if not 1 < len(layer.call_inputs) <= _FEW_CALLS:
        return ""
    return f": {'; '.join(', '.join(map(for_terminal, names)) or 'no input' for names in layer.call_inputs)}"


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"
