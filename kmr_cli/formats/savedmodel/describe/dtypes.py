"""TensorFlow's numbers for dtypes, and the names that NumPy and ml_dtypes give them."""

from __future__ import annotations

STRING, RESOURCE, VARIANT = 7, 20, 21

# tensorflow/core/framework/types.proto. Numbers above 100 are the reference types of TF1 variables.
_NAMES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    STRING: "string",
    8: "complex64",
    9: "int64",
    10: "bool",
    11: "qint8",
    12: "quint8",
    13: "qint32",
    14: "bfloat16",
    15: "qint16",
    16: "quint16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    RESOURCE: "resource",
    VARIANT: "variant",
    22: "uint32",
    23: "uint64",
    24: "float8_e5m2",
    25: "float8_e4m3fn",
    26: "float8_e4m3fnuz",
    27: "float8_e4m3b11fnuz",
    28: "float8_e5m2fnuz",
    29: "int4",
    30: "uint4",
    31: "int2",
    32: "uint2",
    33: "float4_e2m1fn",
}

QUANTIZED = frozenset({11, 12, 13, 15, 16})
"""Integers whose scale the graph holds elsewhere: handed on as plain integers of the same width."""

_PLAIN = {"qint8": "int8", "quint8": "uint8", "qint32": "int32", "qint16": "int16", "quint16": "uint16"}

INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})


def base(number: int) -> int:
    """The dtype behind a reference dtype (TF1's ``VariableV2`` hands out references)."""
    return number - 100 if number > 100 else number


def name(number: int) -> str | None:
    """NumPy's (or ml_dtypes') name, ``string`` for text, None for a number this program does not know."""
    known = _NAMES.get(base(number))
    return _PLAIN.get(known, known) if known else None
