"""Numbers that the graph of a model compares with, and other short constants."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kmr_cli.formats.common import comparands as common
from kmr_cli.formats.common.comparands import Comparands
from kmr_cli.formats.onnx.describe import types
from kmr_cli.formats.onnx.describe.flow import bodies
from kmr_cli.formats.onnx.describe.graph import Graph

_COMPARISONS = frozenset({"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"})
_KEEPING = frozenset({"Identity", "Cast", "CastLike", "Unsqueeze", "Squeeze", "Reshape", "Expand"})
_FIELDS = {"float32": "float_data", "float64": "double_data", "int32": "int32_data", "int64": "int64_data"}


def comparands(graph: Graph) -> Comparands:
    """See :class:`kmr_cli.formats.interface.ComparingSession`."""
    messages = list(_messages([node.message for node in graph.nodes]))
    constants = dict(graph.initializers)
    aliases: dict[str, str] = {}
    for message in messages:
        if message.op_type == "Constant":
            constants.update((name, one) for name in message.output for one in message.attribute)
        elif message.op_type in _KEEPING and message.input:
            aliases.update((name, message.input[0]) for name in message.output)
        for body in bodies(message):
            constants.update((one.name, one) for one in body.initializer)
    compared = [
        _behind(name, aliases) for message in messages if message.op_type in _COMPARISONS for name in message.input
    ]
    return common.listed(
        (_content(constants[name]) for name in compared if name in constants), map(_content, constants.values())
    )


def _messages(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        yield node
        for body in bodies(node):
            yield from _messages(body.node)


def _behind(name: str, aliases: Mapping[str, str]) -> str:
    for _ in range(len(aliases)):
        if name not in aliases:
            break
        name = aliases[name]
    return name


def _content(message: Any) -> Any:
    """What a TensorProto, or the attribute of a Constant, holds, if that is short; else None."""
    if hasattr(message, "ref_attr_name"):
        if message.name in ("value_int", "value_float"):
            return message.i if message.name == "value_int" else message.f
        if message.name in ("value_ints", "value_floats"):
            return list(message.ints if message.name == "value_ints" else message.floats)
        if not message.HasField("t"):
            return None
        message = message.t
    dtype = types.dtype_name(message.data_type)
    if math.prod(message.dims) > common.SMALL or dtype not in _FIELDS or message.data_location:
        return None
    if message.raw_data:
        width = np.dtype(dtype).itemsize
        return np.frombuffer(
            message.raw_data[: len(message.raw_data) // width * width], np.dtype(dtype).newbyteorder("<")
        )
    return np.array(getattr(message, _FIELDS[dtype]), dtype)
