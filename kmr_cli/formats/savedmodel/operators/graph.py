"""A signature of a SavedModel, and any other graph of TensorFlow, as the neutral graph that the proof works on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.common.graph_layers import values_at_taps
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.formats.savedmodel.describe import dtypes
from kmr_cli.formats.savedmodel.describe.analysis import Analysis, analyse
from kmr_cli.formats.savedmodel.describe.composites import composites
from kmr_cli.formats.savedmodel.describe.graph import Graph, producer
from kmr_cli.formats.savedmodel.describe.scopes import ScopeLayer
from kmr_cli.formats.savedmodel.describe.stateful import is_write
from kmr_cli.formats.savedmodel.operators.build import Builder
from kmr_cli.formats.savedmodel.operators.known import Known
from kmr_cli.proof import graph as neutral
from kmr_cli.proof.graph import Ref
from kmr_cli.proof.sizes import BATCH, Shape, Size, symbol


@dataclass(frozen=True)
class Start:
    """One value that a graph starts from.

    Attributes:
        tensor: its name in the graph.
        shape: as it is declared.
        dtype: TensorFlow's number.
        shared: whether it is the same for the whole batch, as a weight is.
        label: for people.
        part: whether it is one of the parts of a ragged or sparse tensor, whose rows aren't samples.
    """

    tensor: str
    shape: tuple[int | None, ...] | None
    dtype: int | None
    shared: bool = False
    label: str = ""
    part: bool = False

    @property
    def batched(self) -> bool:
        """Whether it holds one row a sample."""
        return not (self.shared or self.part)


@dataclass(frozen=True)
class Source:
    """A graph of TensorFlow, whatever it was read from.

    Attributes:
        graph: with function calls inlined.
        order: its nodes, in an order in which they can run.
        starts: inputs and variables.
        outputs: (name for people, tensor).
        places: layer and call of a node.
        taps: (layer, call, port) -> the tensor that stands there.
    """

    graph: Graph
    order: Sequence[str]
    starts: Sequence[Start]
    outputs: Sequence[tuple[str, str]]
    places: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    taps: Mapping[tuple[str, int, str], str] = field(default_factory=dict)


def graph(path: Path, options: OpenOptions) -> neutral.Graph:
    """The operators of a signature, with sizes that are exact for every batch size it takes. No TensorFlow.

    Raises:
        ModelFileError: the file is damaged, or contradicts itself.
    """
    analysis = analyse(path, options)
    try:
        return operators(_signature(analysis, frozenset(dict(options.constants or ()))))
    except (ArithmeticError, AssertionError, LookupError, RecursionError, TypeError, ValueError) as exc:
        raise ModelFileError(
            f"{path.name}: the file is damaged: its graph contradicts itself", "copy or save the model again"
        ) from exc


def _signature(analysis: Analysis, constants: frozenset[str]) -> Source:
    parts = composites(analysis)
    inputs = [
        Start(one.tensor, one.shape, one.dtype, one.name in constants or one.shape == (), one.name, one.name in parts)
        for one in analysis.inputs
    ]
    variables = [
        Start(f"{handle}:0", variable.shape, analysis.graph.dtype(f"{handle}:0"), True, variable.name)
        for handle, variable in analysis.variables.items()
    ]
    outputs = [(one.name, one.tensor) for one in analysis.outputs]
    starts = [*inputs, *variables]
    places, taps = _places(analysis.layers), dict(values_at_taps(analysis.layers))
    return Source(analysis.graph, analysis.flow.order, starts, outputs, places, taps)


def operators(source: Source) -> neutral.Graph:
    """A graph's operators, with shapes for every value and numbers for shape arithmetic."""
    known = Known({"batch": (1, None)})
    firsts = [one.shape[0] for one in source.starts if one.shape and one.batched]
    fixed = next((first for first in firsts if first is not None), None)
    batch: Size = BATCH if None in firsts or fixed is None else fixed
    for one in source.starts:
        known.shapes[one.tensor], known.dtypes[one.tensor] = _declared(one, known), one.dtype
    labels = {producer(one.tensor): one.label for one in source.starts}
    builder = Builder(source.graph, known, source.places)
    made = [
        operator
        for name in source.order
        if name not in labels
        for operator in builder.operators(source.graph.nodes[name])
    ]
    stored = {labels.get(handle) or handle: value for handle, value in builder.written}
    for target, value in _writes_beside(source):
        stored.setdefault(labels.get(target) or target, value)
    written = {f"{handle}:0" for handle, _ in builder.written}
    inputs = [(one.tensor, _kind(one, written)) for one in source.starts]
    return neutral.Graph(
        vocabulary="tensorflow",
        inputs=(*inputs, *builder.sources.items()),
        operators=tuple(made),
        values={name: neutral.Value(shape, _dtype(known.dtypes.get(name))) for name, shape in known.shapes.items()},
        outputs=tuple((name, Ref(tensor)) for name, tensor in source.outputs),
        batch=batch,
        stored=tuple(stored.items()),
        ranges=known.ranges,
        functional=True,
        taps={tap: name for tap, name in source.taps.items() if name in known.shapes},
    )


def _kind(start: Start, written: Iterable[str]) -> neutral.Kind:
    if start.tensor in written:
        return "state"
    if start.shared:
        return "weight"
    return "other" if start.part else "samples"


def _dtype(number: int | None) -> str | None:
    return None if number is None else dtypes.name(number)


def _declared(start: Start, known: Known) -> Shape | None:
    """What is declared of a shape; an open size is a symbol of its own, the first one the number of samples."""
    if start.shape is None:
        return None
    found: list[Size] = []
    for axis, length in enumerate(start.shape):
        if length is not None:
            found.append(length)
        elif axis == 0 and start.batched:
            found.append(BATCH)
        else:
            label = f"{start.label or start.tensor}.{axis}"
            found.append(symbol(label))
            known.ranges[label] = (1, None)
    return tuple(found)


def _writes_beside(source: Source) -> Iterable[tuple[str, str]]:
    """What is written to by operations that the outputs do not wait for; a server runs them all the same."""
    order = set(source.order)
    for name, node in source.graph.nodes.items():
        if name not in order and is_write(node.op):
            yield producer(node.data_inputs[0]) if node.data_inputs else name, name


def _places(layers: tuple[ScopeLayer, ...]) -> Mapping[str, tuple[str, int]]:
    """For every operation the innermost layer around it, and which call of that."""
    found: dict[str, tuple[int, str, int]] = {}
    for layer in layers:
        for number, nodes in enumerate(layer.nodes):
            for node in nodes:
                if node not in found or len(nodes) <= found[node][0]:  # what is inside comes after what is around it
                    found[node] = (len(nodes), layer.path, number)
    return {node: (path, number) for node, (_, path, number) in found.items()}
