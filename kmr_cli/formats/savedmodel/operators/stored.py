"""Constants of a graph: their shapes, and the numbers of those that may tell sizes, axes or orders."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from kmr_cli.formats.savedmodel.describe import dtypes, messages
from kmr_cli.formats.savedmodel.describe.variables import shape_of
from kmr_cli.formats.savedmodel.operators.known import MOST, Content

_WHOLE = dtypes.INTEGERS | {"bool"}
_PLAIN = _WHOLE - {"uint32", "uint64"} | {"float16", "bfloat16", "float32", "float64", "string"}
"""Dtypes whose numbers stand in the fields that are declared here, or as raw bytes."""
_FIELDS = ("float_val", "double_val", "int_val", "string_val", "int64_val", "bool_val", "half_val")


def constant(raw: bytes) -> tuple[tuple[int, ...] | None, Content | None, bool]:
    """Shape and content of a TensorProto, and whether one number stands for all of it.

    The content is None for what is long, or no whole numbers; the shape for what is damaged.
    """
    try:
        message = messages.TensorProto.FromString(raw)
    except DecodeError:
        return None, None, False
    shape = shape_of(message.tensor_shape)
    fixed = tuple(size for size in shape or () if size is not None)
    if shape is None or len(fixed) < len(shape):
        return None, None, False
    count = math.prod(fixed)
    listed: list[Any] = next((list(getattr(message, name)) for name in _FIELDS if len(getattr(message, name))), [])
    name = dtypes.name(message.dtype)
    same = count == 1 or (name in _PLAIN and not message.tensor_content and len(listed) <= 1)
    if name not in _WHOLE or count > MOST or (name not in _PLAIN and not message.tensor_content):
        return fixed, None, same
    if message.tensor_content:
        if len(message.tensor_content) != count * np.dtype(name).itemsize:
            return fixed, None, same
        listed = np.frombuffer(message.tensor_content, name).tolist()
    elif len(listed) < count:  # the last one is repeated, and no number at all means 0
        listed += [listed[-1] if listed else 0] * (count - len(listed))
    if len(listed) != count:
        return fixed, None, same
    found = np.empty(count, object)
    found[:] = [int(one) for one in listed]
    return fixed, found.reshape(fixed), same


def whole_float(raw: bytes) -> int | None:
    """The only number of a TensorProto of float32 or float64, where it is whole and small; None for everything else."""
    try:
        message = messages.TensorProto.FromString(raw)
    except DecodeError:
        return None
    name = dtypes.name(message.dtype)
    if name not in ("float32", "float64") or shape_of(message.tensor_shape) != ():
        return None
    found = [*message.float_val, *message.double_val]
    if message.tensor_content and len(message.tensor_content) == np.dtype(name).itemsize:
        found = np.frombuffer(message.tensor_content, name).tolist()
    number = found[0] if len(found) == 1 else 0.0 if not found and not message.tensor_content else math.nan
    return int(number) if abs(number) < _MOST_WHOLE and number == int(number) else None


_MOST_WHOLE = 1 << 20
