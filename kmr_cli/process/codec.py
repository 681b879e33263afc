"""Records as text and raw bytes, for the way between this program and the child that holds the model.

Plain JSON and the bytes of arrays: the child runs a model nobody vouches for, so what it sends is never unpickled.
Only the record classes named here can be built, and only from fields that have the types that they declare.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from kmr_cli.process.fields import fields_of

if TYPE_CHECKING:
    import numpy as np

_CLASSES = {
    "OpenOptions": "kmr_cli.formats.interface",
    "Policy": "kmr_cli.config.policy",
    "Taps": "kmr_cli.formats.interface",
    **dict.fromkeys(
        (
            "BatchIndex", "Connection", "DataSource", "Dependence", "DumpedValue", "FileDigest", "Finding", "Grounds",
            "LayerInfo", "ModelInfo", "OutputClaim", "OutputVerdict", "ProbedOperator", "Record", "RecordedPath",
            "Report", "SampleSketch", "ScanReport", "SkippedRule", "StructuralProof", "TapSketch", "TapVerdict",
            "TensorSpec", "Trace", "TracedValue",
        ),
        "kmr_cli.records",
    ),
}  # fmt: skip
"""Every class that a message may hold, and where it stands: no message needs them all."""
_DEPTH = 64
"""Values in values in values; what we send is nowhere near."""
_DIMENSIONS = 32
_LARGE = 1 << 63
Read: TypeAlias = "Callable[[int], np.ndarray]"
"""``read(nbytes)``: the next bytes of the message, as a new array of uint8 that holds just as many."""


class ProtocolError(Exception):
    """What came isn't a message of ours. The text says what is wrong with it."""


class NumberError(ValueError):
    """A whole number is too large to be sent: nothing that a model can have is counted so."""


def encode(message: Any) -> tuple[bytes, list[np.ndarray]]:
    """One message as text, and the bytes of its arrays in the order in which the text names them.

    Takes None, bool, int, float, str, bytes, tuples, lists, dicts, arrays and record classes.

    Raises:
        TypeError: anything else is in it.
        NumberError: a whole number takes more than 64 bits.
    """
    buffers: list[np.ndarray] = []
    return json.dumps(_encode(message, buffers)).encode(), buffers


def decode(text: bytes | bytearray, total: int, read: Read) -> Any:
    """The message that :func:`encode` made; nothing is read, allocated or built before it was checked.

    Args:
        text: of the message.
        total: bytes of all arrays together, as announced.
        read: gets the bytes of the arrays, one after the other.

    Raises:
        ProtocolError: no message of ours.
        EOFError: as ``read`` raises it.
    """
    try:
        tree = json.loads(text)
        shapes: list[_Array] = []
        _refuse_depth(tree)
        if b'"array"' in text:
            _find_arrays(tree, shapes)
        if sum(array.nbytes for array in shapes) != total:
            raise ProtocolError("the sizes of its arrays are not what was announced")
        arrays = [read(array.nbytes).view(array.dtype).reshape(array.shape) for array in shapes]
        return _decode(tree, iter(arrays))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, StopIteration, OverflowError) as exc:
        raise ProtocolError(f"what it says makes no sense ({type(exc).__name__})") from exc


@dataclasses.dataclass(frozen=True)
class _Array:
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    nbytes: int


def _encode(value: Any, buffers: list[np.ndarray]) -> Any:
    if isinstance(value, int) and not -_LARGE <= value < _LARGE:
        raise NumberError
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, bytes):
        return {"bytes": value.decode("latin-1")}
    if isinstance(value, list):
        return [_encode(item, buffers) for item in value]
    if isinstance(value, tuple):
        if not _SCALARS.issuperset(map(type, value)) or any(type(one) is int and abs(one) >= _LARGE for one in value):
            return {"tuple": [_encode(item, buffers) for item in value]}
        return {"tuple": list(value)}
    if isinstance(value, dict):
        return {"dict": [[_encode(key, buffers), _encode(item, buffers)] for key, item in value.items()]}
    cls: Any = type(value)
    name = cls.__name__
    if name in _CLASSES and _class(name) is cls:
        fields = {}
        for field, default in _defaults(cls):
            item = getattr(value, field)
            if item is not default:
                fields[field] = _encode(item, buffers)
        return {"record": name, "fields": fields}
    numpy = sys.modules.get("numpy")  # who has an array has imported it
    if numpy is not None and isinstance(value, numpy.ndarray):
        return _encode_array(value, buffers)
    if numpy is not None and isinstance(value, numpy.integer):
        return int(value)
    raise TypeError(f"cannot be sent: {name}")


@cache
def _defaults(cls: Any) -> tuple[tuple[str, Any], ...]:
    """The fields of a class, and what each holds where nothing else is said: that isn't sent."""
    return tuple((field.name, field.default) for field in dataclasses.fields(cls))


def _encode_array(value: np.ndarray, buffers: list[np.ndarray]) -> dict[str, Any]:
    import numpy as np

    shape = list(value.shape)
    if value.dtype == object:
        return {"text": [_encode(item, buffers) for item in value.ravel().tolist()], "shape": shape}
    buffers.append(np.ascontiguousarray(value).reshape(-1).view(np.uint8))
    return {"array": value.dtype.name, "shape": shape}


def _refuse_depth(tree: Any) -> None:
    inside = [tree]
    for _ in range(_DEPTH):
        values = (part.values() if type(part) is dict else part for part in inside if type(part) in (dict, list))
        inside = [value for several in values for value in several if type(value) in (dict, list)]
        if not inside:
            return
    raise ProtocolError("it is nested too deeply")


def _find_arrays(tree: Any, found: list[_Array]) -> None:
    """Every array of a message, in the order of the text, which is the order of :func:`_decode` too."""
    if type(tree) is dict:
        if tuple(tree) == _ARRAY:
            found.append(_array(*tree.values()))
            return
        tree = list(tree.values())
    if type(tree) is list and not {dict, list}.isdisjoint(map(type, tree)):
        for item in tree:
            _find_arrays(item, found)


def _array(name: Any, shape: Any) -> _Array:
    dtype = _dtype(name)
    sizes = _shape(shape)
    return _Array(dtype, sizes, math.prod(sizes) * dtype.itemsize)


@cache
def _dtype(name: str) -> np.dtype[Any]:
    import ml_dtypes  # noqa: F401  (registers bfloat16 and float8 with NumPy)
    import numpy as np

    dtype = np.dtype(name)
    if type(name) is not str or dtype.name != name or dtype.kind not in "biufcV" or dtype.type is np.void:
        raise ProtocolError("an array without a dtype")
    return dtype


def _shape(value: Any) -> tuple[int, ...]:
    if type(value) is not list or len(value) > _DIMENSIONS or not all(type(one) is int and one >= 0 for one in value):
        raise ProtocolError("an array without a shape")
    return tuple(value)


def _decode(value: Any, arrays: Iterator[np.ndarray]) -> Any:
    if type(value) is list:
        return _items(value, arrays)
    if type(value) is not dict:
        return value
    return _KINDS[tuple(value)](arrays, *value.values())


def _items(value: Any, arrays: Iterator[np.ndarray]) -> list[Any]:
    if type(value) is not list:
        raise ProtocolError("something else in place of a list")
    if {dict, list}.isdisjoint(map(type, value)):
        return value
    return [_decode(item, arrays) for item in value]


def _dict(arrays: Iterator[np.ndarray], value: Any) -> dict[Any, Any]:
    pairs = _items(value, arrays)
    if not all(type(pair) is list and len(pair) == 2 for pair in pairs):
        raise ProtocolError("a dict that is not made of pairs")
    return dict(pairs)


def _record(arrays: Iterator[np.ndarray], name: Any, fields: Any) -> Any:
    cls = _class(name)
    checks = fields_of(cls)
    if not fields.keys() <= checks.keys():
        raise ProtocolError(f"a {name} with unexpected fields")
    values = {field: _decode(item, arrays) for field, item in fields.items()}
    for field, value in values.items():
        if not checks[field](value):
            raise ProtocolError(f"a {name} with a {field} of the wrong type")
    return cls(**values)


@cache
def _class(name: str) -> Any:
    return getattr(import_module(_CLASSES[name]), name)


def _text_array(_arrays: Iterator[np.ndarray], text: Any, shape: Any) -> np.ndarray:
    import numpy as np

    items = np.empty(len(text), dtype=object)
    items[:] = _items(text, iter(()))
    if not all(type(item) in (bytes, str) for item in items):
        raise ProtocolError("an array of text with something else in it")
    return items.reshape(_shape(shape))


_SCALARS = frozenset({type(None), bool, int, float, str})
_ARRAY = ("array", "shape")
_KINDS: dict[tuple[str, ...], Callable[..., Any]] = {
    ("bytes",): lambda _arrays, text: text.encode("latin-1"),
    ("tuple",): lambda arrays, items: tuple(_items(items, arrays)),
    ("dict",): _dict,
    ("text", "shape"): _text_array,
    _ARRAY: lambda arrays, _name, _shape: next(arrays),
    ("record", "fields"): _record,
}
"""How each kind of value is built, by the words that stand in the text for it, from what follows each of them."""
