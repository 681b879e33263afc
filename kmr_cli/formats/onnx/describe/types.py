"""What kind of value stands at a place of a graph: ONNX's types as shapes and NumPy's names of dtypes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kmr_cli.records import Shape, TensorSpec

# TensorProto.DataType
_DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
    17: "float8_e4m3fn", 18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz", 21: "uint4", 22: "int4",
    23: "float4_e2m1fn", 24: "float8_e8m0fnu", 25: "uint2", 26: "int2",
}  # fmt: skip
_BITS = {"4": 4, "2": 2}

INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})
INT64, STRING, BOOL = 7, 8, 9
"""Numbers of some dtypes."""
NARROW = frozenset({10, 16})
"""Numbers of float16 and bfloat16."""
FLOATS = frozenset({1, 10, 11, 16})
"""Numbers of the dtypes in which layers mostly compute."""


def dtype_name(number: int) -> str | None:
    """NumPy's or ml_dtypes' name, ``string`` for text, None for a number that no dtype has."""
    return _DTYPES.get(number)


def dtype_number(name: str) -> int | None:
    """The other way."""
    return next((number for number, known in _DTYPES.items() if known == name), None)


_FORMULA = re.compile(r"[A-Za-z0-9_ ()*/+%-]{1,60}")


@dataclass(frozen=True)
class ValueType:
    """The type of a value.

    Attributes:
        kind: ``tensor``, ``sparse``, ``sequence``, ``map`` or ``optional``; ``unknown`` where the file does not say.
        shape: of a tensor; None where even the rank is open.
        dims: names of its symbolic dimensions, by axis.
        dtype: of a tensor.
        parts: of a sequence or an optional what it holds, of a map its key and its value.
    """

    kind: str = "unknown"
    shape: Shape | None = None
    dims: tuple[str | None, ...] = ()
    dtype: str | None = None
    parts: tuple[ValueType, ...] = ()

    @property
    def words(self) -> str:
        """``float32 (batch, 2)``, ``sequence of map of int64 to float32``, as far as it is known."""
        if self.kind in ("sequence", "optional", "map") and len(self.parts) and self.parts[0] != UNKNOWN:
            return f"{self.kind} of {' to '.join(one.words for one in self.parts)}"
        if self.kind != "tensor":
            return self.kind
        sizes = [
            str(size) if size is not None else _shown(dim)
            for size, dim in zip(self.shape or (), self.dims, strict=False)
        ]
        shape = f" ({', '.join(sizes)}{',' if len(sizes) == 1 else ''})" if sizes else ""
        return f"{self.dtype or 'tensors'}{shape}"

    def spec(self, name: str) -> TensorSpec:
        """As a record. Where axis 0 is a formula (``4*batch``), it isn't the number of samples, and sizes are shown."""
        symbols: tuple[str, ...] = ()
        if self.shape and self.dims[0] and not self.dims[0].isidentifier():
            sizes = zip(self.shape, self.dims, strict=True)
            symbols = tuple(str(size) if size is not None else _shown(label) for size, label in sizes)
        kind = None if self.kind in ("tensor", "unknown") else self.words
        return TensorSpec(name, self.shape, self.dtype, symbols=symbols, kind=kind)


def _shown(label: str | None) -> str:
    """A size as the file writes it, if it looks like one: files hold any text."""
    return label if label and _FORMULA.fullmatch(label) else "?"


UNKNOWN = ValueType()
_CHANGED = ("SplitToSequence", "SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SequenceErase", "SequenceAt")
FOLLOWED = frozenset([*_CHANGED, "ConcatFromSequence", "Identity", "Optional", "OptionalGetElement", "ZipMap"])
"""Operators of which :func:`followed` knows."""


def value_type(message: Any) -> ValueType:
    """From a TypeProto."""
    if message.HasField("tensor_type"):
        return _tensor(message.tensor_type, "tensor")
    if message.HasField("sparse_tensor_type"):
        return ValueType("sparse")
    for field, kind in (("sequence_type", "sequence"), ("map_type", "map"), ("optional_type", "optional")):
        if message.HasField(field):
            inside = getattr(message, field)
            if kind == "map":
                key = ValueType("tensor", None, (), dtype_name(inside.key_type))
                return ValueType(kind, parts=(key, value_type(inside.value_type)))
            return ValueType(kind, parts=(value_type(inside.elem_type),))
    return UNKNOWN


def followed(op: str, taken: ValueType, attributes: Mapping[str, Any]) -> ValueType:
    """The type of what an operator on sequences, optionals and maps makes of a value, where the file leaves it out."""
    of_dtype = ValueType("tensor", None, (), taken.dtype) if taken.kind == "tensor" else UNKNOWN
    if op in ("SplitToSequence", "SequenceConstruct"):
        return ValueType("sequence", parts=(of_dtype,))
    if op == "SequenceEmpty":
        number = attributes["dtype"].i if "dtype" in attributes else 1
        return ValueType("sequence", parts=(ValueType("tensor", None, (), dtype_name(number)),))
    if op in ("SequenceInsert", "SequenceErase", "Identity") and taken.kind in ("sequence", "optional"):
        return taken
    if op == "Optional":
        return ValueType("optional", parts=(taken,))
    if op in ("SequenceAt", "OptionalGetElement") and taken.kind in ("sequence", "optional"):
        return taken.parts[0]
    if op == "ConcatFromSequence" and taken.kind == "sequence" and taken.parts[0].kind == "tensor":
        return ValueType("tensor", None, (), taken.parts[0].dtype)
    if op == "ZipMap":
        key = "string" if "classlabels_strings" in attributes else "int64"
        pair = (ValueType("tensor", None, (), key), ValueType("tensor", None, (), "float32"))
        return ValueType("sequence", parts=(ValueType("map", parts=pair),))
    return UNKNOWN


def _tensor(message: Any, kind: str) -> ValueType:
    if not message.HasField("shape"):
        return ValueType(kind, None, (), dtype_name(message.elem_type))
    shape = tuple(dim.dim_value if dim.dim_value > 0 else None for dim in message.shape.dim)
    dims = tuple(dim.dim_param or None for dim in message.shape.dim)
    return ValueType(kind, shape, dims, dtype_name(message.elem_type))
