"""The model that is run: the file's graph, cut to what the wanted values need, with these values as its outputs."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.onnx.describe import messages, types, wire
from kmr_cli.formats.onnx.describe.analysis import Analysis
from kmr_cli.formats.onnx.describe.flow import Node
from kmr_cli.formats.onnx.run.recording import Recording, beginnings, recorded

# Numbers of the fields of GraphProto.
_NODE, _NAME, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO, _SPARSE = 1, 2, 5, 11, 12, 13, 15
GRAPH = 7
"""The field of ModelProto that has the graph."""


def output_name(analysis: Analysis, name: str) -> str:
    """The output of the rewritten model that has a value.

    Where the CPU has no kernel for half precision, onnxruntime computes in float32 and leaves out the way to half and
    back between two such operators, but not where the value is an output: to observe it would change what follows.
    So a copy of it becomes the output.
    """
    plain = not analysis.narrow or name in analysis.graph.outputs or analysis.graph.type(name).kind == "sequence"
    return name if plain else f"{name}/observed"


def model_bytes(
    analysis: Analysis,
    wanted: Sequence[str],
    recordings: Sequence[Recording] = (),
    *,
    any_size: bool = False,
    weightless: bool = False,
    fed: Mapping[str, int] | None = None,
    apart: Mapping[str, bytes] | None = None,
) -> bytes:
    """A serialized model that has the values ``wanted`` among its outputs, under their :func:`output_name`.

    ``recordings`` are outputs of what loops and branches compute inside.

    Nodes and weights that they do not need are left out. What is kept stands as the file has it: weights are copied
    byte for byte, those in other files stay there. The model's own outputs that these nodes make stay outputs. With
    ``any_size`` nothing is said of the sizes of inputs and of what is computed. With ``weightless`` large weights are
    inputs: such a model tells the types of its outputs, and cannot be run. Values that are ``fed``, with ONNX's numbers
    of their dtypes, are inputs too: what makes them is left out. Weights that stand in ``apart`` are written as the
    TensorProto that is there.

    Raises:
        ModelFileError: the file cannot be read any more, or is too large for one message.
    """
    nodes = _needed(analysis, wanted, recordings, fed or ())
    used = _used(wanted, nodes)
    left = {name for name in used if weightless and is_large(analysis, name)}
    ends = [*(output_name(analysis, name) for name in wanted), *chain.from_iterable(one.outputs for one in recordings)]
    opset = analysis.graph.imports.get("", 0)
    parts = [
        *_nodes(nodes, recordings, opset),
        *_copies(analysis, wanted),
        wire.field_bytes(_NAME, (analysis.source.model.graph.name or "graph").encode()),
        *_weights(analysis, used - left, apart or {}),
        *_values(analysis, ends, used, {name for node in nodes for name in node.outputs}, any_size=any_size),
        *(_as_input(analysis.graph.initializers[name]) for name in sorted(left)),
        *(_untold(name, number) for name, number in (fed or {}).items()),
    ]
    size = sum(map(len, parts))
    try:
        return head(analysis) + wire.head(GRAPH, size) + b"".join(parts)
    except MemoryError as error:
        raise ModelFileError(f"{analysis.path.name}: its weights do not fit into memory") from error


def weights_of(
    analysis: Analysis, wanted: Sequence[str], recordings: Sequence[Recording], fed: Collection[str]
) -> list[str]:
    """The initializers that are part of such a model."""
    used = _used(wanted, _needed(analysis, wanted, recordings, fed))
    return [name for name in analysis.graph.initializers if name in used]


def _used(wanted: Iterable[str], nodes: Iterable[Node]) -> set[str]:
    return {*wanted, *(name for node in nodes for name in node.reads)}


def _untold(name: str, number: int) -> bytes:
    """An input of any shape."""
    message = messages.ValueInfoProto(name=name)
    message.type.tensor_type.elem_type = number
    return wire.field_bytes(_INPUT, message.SerializeToString())


def _needed(
    analysis: Analysis, wanted: Iterable[str], recordings: Iterable[Recording], fed: Collection[str]
) -> list[Node]:
    """The nodes behind the wanted values, and those with recordings inside, in the order in which they run."""
    names, numbers = set(wanted), {one.value.place[0][0] for one in recordings}
    kept = []
    for node in reversed(analysis.graph.nodes):
        if node.number in numbers or any(name in names and name not in fed for name in node.outputs):
            kept.append(node)
            names.update(node.reads)
    return kept[::-1]


def _nodes(nodes: Sequence[Node], recordings: Sequence[Recording], opset: int) -> Iterator[bytes]:
    for begun in beginnings(recordings, opset):
        yield wire.field_bytes(_NODE, begun.SerializeToString())
    for node in nodes:
        inside = [one for one in recordings if one.value.place[0][0] == node.number]
        for message in recorded(node.message, inside, opset) if inside else (node.message,):
            yield wire.field_bytes(_NODE, message.SerializeToString())


def is_large(analysis: Analysis, name: str) -> bool:
    """Whether the elements of a weight were left out when the file was read, or stand in another file."""
    message = analysis.graph.initializers.get(name)
    if message is None or message.data_type == types.STRING:
        return False
    held = ("raw_data", "float_data", "int32_data", "int64_data", "double_data")
    return math.prod(message.dims) > 0 and not any(len(getattr(message, one)) for one in held)


def _as_input(weight: Any) -> bytes:
    message = messages.ValueInfoProto(name=weight.name)
    message.type.tensor_type.elem_type = weight.data_type
    for size in weight.dims:
        message.type.tensor_type.shape.dim.add(dim_value=size)
    return wire.field_bytes(_INPUT, message.SerializeToString())


def _copies(analysis: Analysis, wanted: Sequence[str]) -> Iterator[bytes]:
    for name in wanted:
        observed = output_name(analysis, name)
        if observed != name:
            copy = messages.NodeProto(op_type="Identity", input=[name], output=[observed])
            yield wire.field_bytes(_NODE, copy.SerializeToString())


def head(analysis: Analysis) -> bytes:
    """Everything of the model but its graph. Functions stay: bodies of loops and branches may call them."""
    model = messages.ModelProto()
    model.CopyFrom(analysis.source.model)
    model.ClearField("graph")
    del model.opset_import[:]
    for domain, version in analysis.graph.imports.items():
        model.opset_import.add(domain=domain, version=version)
    head: bytes = model.SerializeToString()
    return head


def _weights(analysis: Analysis, used: Collection[str], apart: Mapping[str, bytes]) -> Iterator[bytes]:
    yield from (wire.field_bytes(_INITIALIZER, tensor) for name, tensor in apart.items() if name in used)
    names = [name for name in analysis.graph.initializers if name in used and name not in apart]
    for name, tensor in zip(names, _read(analysis, names), strict=True):
        yield wire.field_bytes(_INITIALIZER, tensor) if name in analysis.source.places else b""
    for name, sparse in analysis.graph.sparse.items():
        if name in used:
            yield wire.field_bytes(_SPARSE, sparse.SerializeToString())


def _read(analysis: Analysis, names: Sequence[str]) -> Iterator[bytes]:
    """Whole TensorProtos, as they stand in the file."""
    path: Path = analysis.path
    try:
        with path.open("rb") as file:
            for name in names:
                start, end = analysis.source.places[name]
                file.seek(start)
                tensor = file.read(end - start)
                if len(tensor) < end - start:
                    raise ModelFileError(f"{path.name}: the file was changed while it was open")
                yield tensor
    except OSError as error:
        raise ModelFileError(f"{path.name}: it cannot be read any more ({error.strerror})") from error


def _values(
    analysis: Analysis, ends: Sequence[str], used: Collection[str], made: Collection[str], *, any_size: bool
) -> Iterator[bytes]:
    """Inputs, outputs and what the file says about values between them."""
    graph = analysis.source.model.graph
    inputs = frozenset(analysis.graph.inputs)
    declared = {one.name: one for one in (*graph.value_info, *graph.output)}
    for one in graph.input:
        if one.name in inputs:  # old files list their weights too
            yield wire.field_bytes(_INPUT, (_sizeless(one) if any_size else one).SerializeToString())
    outputs = {one.name: one for one in graph.output}
    for name in dict.fromkeys([*ends, *(name for name in outputs if name in made)]):
        known = outputs.get(name) if not any_size else None
        message = known or messages.ValueInfoProto(name=name)
        yield wire.field_bytes(_OUTPUT, message.SerializeToString())
    for name, one in declared.items():
        if name in used and name not in outputs and not any_size:
            yield wire.field_bytes(_VALUE_INFO, one.SerializeToString())


def _sizeless(declared: Any) -> Any:
    """An input with as many axes, of any size."""
    message = messages.ValueInfoProto()
    message.CopyFrom(declared)
    for dim in message.type.tensor_type.shape.dim:
        dim.Clear()
    return message
