"""Records as bytes, for the pipe between the command line and the child that holds the model.

Plain JSON and raw array buffers: the child runs a model nobody vouches for, so what it sends is never unpickled.
Only the record classes named here can be rebuilt.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from typing import Any, BinaryIO

import ml_dtypes  # noqa: F401  (registers bfloat16 and float8 with NumPy)
import numpy as np

from kmr_cli.check.check import Policy
from kmr_cli.formats.interface import OpenOptions, Taps
from kmr_cli.records import (
    BatchIndex,
    Dependence,
    Finding,
    LayerInfo,
    ModelInfo,
    Record,
    Report,
    SampleSketch,
    TapSketch,
    TapVerdict,
    TensorSpec,
)

_RECORDS = (
    BatchIndex,
    Dependence,
    Finding,
    LayerInfo,
    ModelInfo,
    Record,
    Report,
    SampleSketch,
    TapSketch,
    TapVerdict,
    TensorSpec,
)
_CLASSES = {cls.__name__: cls for cls in (*_RECORDS, OpenOptions, Policy, Taps)}
_HEADER = struct.Struct("<QI")
_LENGTH = struct.Struct("<Q")


def send(stream: BinaryIO, message: Any) -> None:
    """Write one message: None, bool, int, float, str, bytes, tuples, lists, dicts, arrays and record classes.

    Raises:
        TypeError: anything else is in it.
    """
    buffers: list[Any] = []
    text = json.dumps(_encode(message, buffers)).encode()
    stream.write(_HEADER.pack(len(text), len(buffers)))
    stream.write(text)
    for buffer in buffers:
        stream.write(_LENGTH.pack(buffer.nbytes))
        stream.write(buffer)
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Read one message.

    Raises:
        EOFError: the other side is gone.
    """
    size, count = _HEADER.unpack(_exactly(stream, _HEADER.size))
    text = _exactly(stream, size)
    buffers = []
    for _ in range(count):
        (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
        buffers.append(_exactly(stream, length))
    return _decode(json.loads(bytes(text)), buffers)


def _exactly(stream: BinaryIO, size: int) -> bytearray:
    data = bytearray(size)
    view, filled = memoryview(data), 0
    while filled < size:
        got = stream.readinto(view[filled:])  # type: ignore[attr-defined]
        if not got:
            raise EOFError
        filled += got
    return data


def _encode(value: Any, buffers: list[Any]) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, bytes):
        return {"bytes": value.decode("latin-1")}
    if isinstance(value, list):
        return [_encode(item, buffers) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [_encode(item, buffers) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[_encode(key, buffers), _encode(item, buffers)] for key, item in value.items()]}
    if isinstance(value, np.ndarray):
        return _encode_array(value, buffers)
    if isinstance(value, np.integer):
        return int(value)
    name = type(value).__name__
    if _CLASSES.get(name) is type(value):
        fields = {field.name: _encode(getattr(value, field.name), buffers) for field in dataclasses.fields(value)}
        return {"record": name, "fields": fields}
    raise TypeError(f"cannot be sent: {name}")


def _encode_array(value: np.ndarray, buffers: list[Any]) -> dict[str, Any]:
    shape = list(value.shape)
    if value.dtype == object:
        return {"text": [_encode(item, buffers) for item in value.ravel().tolist()], "shape": shape}
    flat = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
    buffers.append(flat)
    return {"array": len(buffers) - 1, "dtype": value.dtype.name, "shape": shape}


def _decode(value: Any, buffers: list[bytearray]) -> Any:
    if isinstance(value, list):
        return [_decode(item, buffers) for item in value]
    if not isinstance(value, dict):
        return value
    if "bytes" in value:
        return value["bytes"].encode("latin-1")
    if "tuple" in value:
        return tuple(_decode(item, buffers) for item in value["tuple"])
    if "dict" in value:
        return {_decode(key, buffers): _decode(item, buffers) for key, item in value["dict"]}
    if "text" in value:
        items = np.empty(len(value["text"]), dtype=object)
        items[:] = [_decode(item, buffers) for item in value["text"]]
        return items.reshape(value["shape"])
    if "array" in value:
        return np.frombuffer(buffers[value["array"]], dtype=np.dtype(value["dtype"])).reshape(value["shape"])
    fields = {name: _decode(item, buffers) for name, item in value["fields"].items()}
    return _CLASSES[value["record"]](**fields)
