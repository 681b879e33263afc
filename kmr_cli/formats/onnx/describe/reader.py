"""From a file to its model: all that it says, without the weights, of which only the places are noted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from kmr_cli.errors import ModelFileError
from kmr_cli.formats.onnx.describe import messages, wire
from kmr_cli.formats.onnx.describe.wire import FileBytes

_AGAIN = "copy or export the model again"

# ModelProto: number of every field -> its wire type.
_MODEL_FIELDS = {
    1: wire.VARINT, 2: wire.LENGTH, 3: wire.LENGTH, 4: wire.LENGTH, 5: wire.VARINT, 6: wire.LENGTH, 7: wire.LENGTH,
    8: wire.LENGTH, 14: wire.LENGTH, 20: wire.LENGTH, 25: wire.LENGTH, 26: wire.LENGTH,
}  # fmt: skip
_IR_VERSION, GRAPH = 1, 7
_NEWEST_IR = 1000
"""Absurdly high on purpose: a version that onnxruntime does not know gets its own message when it is run."""
INITIALIZER = 5
_NAME = 8
_PAYLOAD = frozenset({4, 5, 6, 7, 9, 10, 11})
"""The fields of a TensorProto that hold its elements."""
SMALL, SMALL_INDICES = 4096, 1 << 16
"""Bytes of elements that are read all the same: scales, shapes, axes; of int64, which holds indices, more."""
_DATA_TYPE, _INT64 = 2, 7


@dataclass(frozen=True)
class Source:
    """A parsed file.

    Attributes:
        path: the file.
        model: its ModelProto. Elements of large initializers are left out.
        places: name of an initializer -> where its whole TensorProto stands in the file, from and to.
    """

    path: Path
    model: Any
    places: dict[str, tuple[int, int]]


def looks_like(path: Path) -> bool:
    """Whether a file's outermost fields are those of an ONNX model, as far as the file goes: it may be cut short."""
    try:
        with path.open("rb") as file:
            return _walks(FileBytes(file))
    except OSError:
        return False


def _walks(data: FileBytes) -> bool:
    versioned = graph = False
    try:
        for field in wire.fields(data, 0, len(data)):
            if _MODEL_FIELDS.get(field.number) != field.kind:
                return False
            if field.number == _IR_VERSION:
                versioned = wire.varint(data, field.value, field.end)[0] <= _NEWEST_IR
            graph = graph or (field.number == GRAPH and versioned)
    except wire.WireError:
        pass  # cut short: what stands before decides
    return graph


def read(path: Path) -> Source:
    """Parse the file.

    Raises:
        ModelFileError: it cannot be read, is cut short, or isn't an ONNX model.
    """
    try:
        with path.open("rb") as file:
            light, places = _without_weights(FileBytes(file))
    except OSError as error:
        raise ModelFileError(f"{path.name}: it cannot be read ({error.strerror})") from error
    except wire.WireError as error:
        raise ModelFileError(f"{path.name}: the file is cut short or damaged", _AGAIN) from error
    try:
        model = messages.ModelProto.FromString(light)
    except DecodeError as error:
        raise ModelFileError(f"{path.name}: the file is damaged, or isn't an ONNX model", _AGAIN) from error
    if not model.HasField("graph") or not (model.graph.node or model.graph.output):
        raise ModelFileError(f"{path.name}: the file holds no graph", _AGAIN)
    return Source(path, model, places)


def _without_weights(data: FileBytes) -> tuple[bytes, dict[str, tuple[int, int]]]:
    parts: list[bytes] = []
    places: dict[str, tuple[int, int]] = {}
    for field in wire.fields(data, 0, len(data)):
        if field.number == GRAPH and field.kind == wire.LENGTH:
            graph = b"".join(_light_graph(data, field, places))
            parts += [wire.head(GRAPH, len(graph)), graph]
        else:
            parts.append(data[field.start : field.end])
    return b"".join(parts), places


def _light_graph(data: FileBytes, graph: wire.Field, places: dict[str, tuple[int, int]]) -> Iterator[bytes]:
    for field in wire.fields(data, graph.value, graph.end):
        if field.number != INITIALIZER or field.kind != wire.LENGTH:
            yield data[field.start : field.end]
            continue
        kept, name, most = [], b"", SMALL
        for inner in wire.fields(data, field.value, field.end):
            if inner.number == _DATA_TYPE and wire.varint(data, inner.value, inner.end)[0] == _INT64:
                most = SMALL_INDICES
            if inner.number not in _PAYLOAD or inner.end - inner.value <= most:
                kept.append(data[inner.start : inner.end])
            if inner.number == _NAME:
                name = data[inner.value : inner.end]
        places[name.decode("utf-8", "replace")] = (field.value, field.end)
        yield wire.field_bytes(INITIALIZER, b"".join(kept))
