"""Between NumPy and onnxruntime: what is fed, and what comes out, in parts where one array cannot hold it."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from kmr_cli.errors import BatchError
from kmr_cli.formats.common.aligned import aligned_copy
from kmr_cli.formats.onnx.describe import types
from kmr_cli.formats.onnx.run.runtime import Runtime

# onnxruntime's name of a dtype that NumPy does not have -> ml_dtypes' and how many bits it takes.
_OTHERS: Mapping[str, tuple[str, int]] = {
    "bfloat16": ("bfloat16", 16),
    "float8e4m3fn": ("float8_e4m3fn", 8),
    "float8e4m3fnuz": ("float8_e4m3fnuz", 8),
    "float8e5m2": ("float8_e5m2", 8),
    "float8e5m2fnuz": ("float8_e5m2fnuz", 8),
    "float8e8m0": ("float8_e8m0fnu", 8),
    "int4": ("int4", 4),
    "uint4": ("uint4", 4),
    "float4e2m1": ("float4_e2m1fn", 4),
    "int2": ("int2", 2),
    "uint2": ("uint2", 2),
}


def run(runtime: Runtime, session: Any, names: Sequence[str], feeds: Mapping[str, np.ndarray]) -> list[Any]:
    """What a session computes: an array for a tensor; lists and dictionaries for sequences and maps; None for nothing.

    Args:
        runtime: that made the session.
        session: an ``InferenceSession``.
        names: its outputs, in order; none twice.
        feeds: aligned arrays by the name of the input.
    """
    kinds = {one.name: one.type for one in session.get_outputs()}
    others = [name for name in names if _dtype(kinds[name]) in _OTHERS]
    if not others and not any(_is_other(values) for values in feeds.values()):
        found: list[Any] = session.run(list(names), dict(feeds))
        return found
    fed = {name: _value(runtime, values) for name, values in feeds.items()}
    tensors = [name for name in names if kinds[name].startswith("tensor(")]
    values = dict(zip(tensors, session.run_with_ort_values(tensors, fed), strict=True)) if tensors else {}
    rest = [name for name in names if name not in values]
    kept = dict(zip(rest, session.run(rest, fed), strict=True)) if rest else {}
    return [_array(values[name]) if name in values else kept[name] for name in names]


def fed(array: np.ndarray, name: str, kind: types.ValueType) -> np.ndarray:
    """A fresh copy of an input, as onnxruntime takes it.

    Raises:
        BatchError: the input isn't a tensor.
    """
    if kind.kind not in ("tensor", "unknown"):
        raise BatchError(
            f"input {name!r} is a {kind.kind}, for which there is no array",
            "export the model with tensors as inputs",
        )
    if array.dtype.kind in "USO":
        text = [item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item) for item in array.flat]
        copy = np.empty(len(text), dtype=object)
        copy[:] = text
        return copy.reshape(array.shape)
    return aligned_copy(np.asarray(array))


def parts(value: Any) -> Iterator[tuple[str, np.ndarray]]:
    """A value as arrays, each with the suffix of its port.

    One array with an empty suffix; ``.0``, ``.1``, … for the members of a sequence; ``.keys`` and ``.values`` for
    maps: one row of values per map where all of them have the same keys, else ``.0_keys``, ``.0_values``, ….
    """
    if value is None:
        return
    if isinstance(value, np.ndarray):
        yield "", _text(value)
    elif isinstance(value, dict):
        yield from _maps([value], one=True)
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        if all(list(item) == list(value[0]) for item in value):
            yield from _maps(value, one=False)
        else:
            for number, item in enumerate(value):
                yield from ((_within(number, suffix), array) for suffix, array in _maps([item], one=True))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from ((_within(number, suffix), array) for suffix, array in parts(item))
    else:
        yield "", _text(np.asarray(value))


def array(value: Any) -> np.ndarray:
    """A tensor as an array."""
    return _text(np.asarray(value))


def _within(number: int, suffix: str) -> str:
    """The suffix of a part of a member of a sequence: ``.2``, ``.2_keys``."""
    return f".{number}" + suffix.replace(".", "_")


def _maps(maps: Sequence[dict[Any, Any]], *, one: bool) -> Iterator[tuple[str, np.ndarray]]:
    values = np.asarray([list(item.values()) for item in maps], dtype=np.float32 if _floats(maps) else None)
    yield ".keys", _text(np.asarray(list(maps[0])))
    yield ".values", _text(values[0] if one else values)


def _floats(maps: Sequence[dict[Any, Any]]) -> bool:
    """Whether they map to floats: onnxruntime hands out Python's, of what was float32 in all that is in use."""
    return all(isinstance(item, float) for entries in maps for item in entries.values())


def _text(array: np.ndarray) -> np.ndarray:
    """Text as an object array of bytes; anything else as it is."""
    if array.dtype.kind not in "UO":
        return array
    found = np.empty(array.size, dtype=object)
    found[:] = [item if isinstance(item, bytes) else str(item).encode() for item in array.flat]
    return found.reshape(array.shape)


def _dtype(kind: str) -> str:
    """``tensor(bfloat16)`` -> ``bfloat16``."""
    return kind.removeprefix("tensor(").removesuffix(")")


def _is_other(array: np.ndarray) -> bool:
    return any(array.dtype == getattr(ml_dtypes, name, None) for name, _ in _OTHERS.values())


def _value(runtime: Runtime, array: np.ndarray) -> Any:
    if not _is_other(array):
        return runtime.plain_value(array)
    number = types.dtype_number(array.dtype.name)
    assert number is not None
    return runtime.value(array, number)


def _array(value: Any) -> np.ndarray:
    """The array of a tensor."""
    kind = _dtype(value.data_type())
    if kind not in _OTHERS:
        array: np.ndarray = value.numpy()
        return array
    name, bits = _OTHERS[kind]
    shape = tuple(value.shape())
    count = math.prod(shape)
    width = -(-count * bits // 8)
    raw = np.frombuffer(ctypes.string_at(value.data_ptr(), width) if width else b"", np.uint8)
    dtype = np.dtype(getattr(ml_dtypes, name))
    if bits < 8:
        per = 8 // bits
        places = (raw[:, None] >> (np.arange(per, dtype=np.uint8) * bits)) & (2**bits - 1)
        return _signed(places.reshape(-1)[:count], bits, dtype).reshape(shape)
    found: np.ndarray = raw.view(dtype).reshape(shape)
    return found


def _signed(codes: np.ndarray, bits: int, dtype: np.dtype) -> np.ndarray:
    """Codes of a few bits each, one a byte, as values of a dtype that keeps one in the low bits of every byte."""
    if dtype.name.startswith("int"):
        wide = codes.astype(np.int8)
        return np.where(wide >= 1 << (bits - 1), wide - (1 << bits), wide).astype(np.int8).astype(dtype)
    if dtype.name.startswith("uint"):
        return codes.astype(dtype)
    return codes.view(dtype)
