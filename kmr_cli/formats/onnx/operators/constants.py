"""Whole numbers that shape arithmetic tells: constants, shapes, and what is computed from them."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kmr_cli.formats.onnx.describe.flow import Node
from kmr_cli.formats.onnx.operators.known import Content, Known
from kmr_cli.proof.graph import Argument
from kmr_cli.proof.sizes import (
    Range,
    Shape,
    Size,
    at_least,
    floor_quotient,
    larger,
    product,
    remainder,
    smaller,
)

_MOST = 256
"""Numbers of the longest constant whose content is followed."""
_FLOAT32, _INT64, _INT32, _BOOL = 1, 7, 6, 9
_MOST_FACTORS = 8
_RAW = {_INT64: ("q", 8), _INT32: ("i", 4), _BOOL: ("?", 1)}


def stored(message: Any) -> Content | None:
    """The numbers of a short TensorProto of whole numbers."""
    shape = tuple(message.dims)
    count = shape[0] if shape else 1
    if len(shape) > 1 or count > _MOST or message.data_type not in _RAW or message.data_location:
        return None
    letter, width = _RAW[message.data_type]
    numbers: Sequence[int] = ()
    if message.raw_data:
        if len(message.raw_data) != count * width:
            return None
        numbers = [int(one) for one in struct.unpack(f"<{count}{letter}", message.raw_data)]
    elif message.data_type == _INT64:
        numbers = list(message.int64_data)
    else:
        numbers = list(message.int32_data)
    return Content(shape, tuple(numbers)) if len(numbers) == count else None


def short_floats(message: Any) -> tuple[float, ...] | None:
    """The numbers of a short TensorProto of float32: factors of sizes."""
    count = message.dims[0] if len(message.dims) == 1 else 0
    if message.data_type != _FLOAT32 or not 0 < count <= _MOST_FACTORS:
        return None
    numbers = list(message.float_data)
    if message.raw_data and len(message.raw_data) == 4 * count:
        numbers = list(struct.unpack(f"<{count}f", message.raw_data))
    return tuple(numbers) if len(numbers) == count and all(map(math.isfinite, numbers)) else None


def folded(node: Node, attributes: Mapping[str, Argument], known: Known) -> Content | None:
    """What a node makes, where that is a short list of numbers that sizes alone decide."""
    if node.domain or len(node.outputs) != 1:
        return None
    if node.op == "Constant":
        return _constant(node, attributes)
    if node.op in ("Shape", "Size"):
        return _of_shape(node, attributes, known.shapes.get(node.message.input[0]))
    if node.op == "ConstantOfShape":
        return _filled(node, known.contents.get(node.message.input[0]))
    rule = _RULES.get(node.op)
    if rule is None:
        return None
    taken = [known.contents.get(name) if name else None for name in node.message.input]
    if any(one is None for one, name in zip(taken, node.message.input, strict=True) if name):
        return None
    try:
        found = rule(taken, attributes, known.ranges)
    except (ArithmeticError, LookupError, TypeError, ValueError):  # a file may hold anything
        return None
    return found if found is not None and len(found.numbers) <= _MOST else None


def _constant(node: Node, attributes: Mapping[str, Argument]) -> Content | None:
    tensor = node.attribute("value")
    if tensor is not None and tensor.HasField("t"):
        return stored(tensor.t)
    single, several = attributes.get("value_int"), attributes.get("value_ints")
    if isinstance(single, int):
        return Content((), (single,))
    if isinstance(several, tuple):
        return Content((len(several),), tuple(one for one in several if isinstance(one, int)))
    return None


def _filled(node: Node, lengths: Content | None) -> Content | None:
    value = node.attribute("value")
    number = stored(value.t) if value is not None and value.HasField("t") else None
    if lengths is None or number is None or len(lengths.numbers) != 1:
        return None
    (length,) = lengths.numbers
    return Content((length,), number.numbers * length) if isinstance(length, int) and 0 < length <= _MOST else None


def _of_shape(node: Node, attributes: Mapping[str, Argument], shape: Shape | None) -> Content | None:
    if shape is None:
        return None
    if node.op == "Size":
        return Content((), (product(shape),))
    start, end = attributes.get("start", 0), attributes.get("end")
    if not isinstance(start, int) or not isinstance(end, int | None):
        return None
    taken = shape[start:end]
    return Content((len(taken),), taken)


_Rule = Callable[[Sequence["Content | None"], Mapping[str, Argument], Mapping[str, Range]], "Content | None"]


def _elementwise(compute: Callable[..., Size | None]) -> _Rule:
    """Number by number; a single one goes with each of the others."""

    def rule(taken: Sequence[Content | None], _: Mapping[str, Argument], ranges: Mapping[str, Range]) -> Content | None:
        given = [one for one in taken if one is not None]
        longest = max(given, key=lambda one: (len(one.shape), len(one.numbers)))
        count = len(longest.numbers)
        if any(len(one.numbers) not in (1, count) for one in given):
            return None
        columns = [one.numbers * (count if len(one.numbers) == 1 else 1) for one in given]
        found = [compute(ranges, *row) for row in zip(*columns, strict=True)]
        numbers = tuple(one for one in found if one is not None)
        return Content(longest.shape, numbers) if len(numbers) == count else None

    return rule


def _divided(_: Mapping[str, Range], one: Size, other: Size) -> Size | None:
    if isinstance(one, int) and isinstance(other, int):
        return None if not other else abs(one) // abs(other) * (1 if (one < 0) == (other < 0) else -1)
    return floor_quotient(one, other) if other != 0 else None


def _equal(ranges: Mapping[str, Range], one: Size, other: Size) -> Size | None:
    if one == other:
        return 1
    apart = at_least(one, other + 1, ranges) or at_least(other, one + 1, ranges)
    return 0 if apart else None


def _less(ranges: Mapping[str, Range], one: Size, other: Size) -> Size | None:
    if at_least(one, other, ranges):
        return 0
    return 1 if at_least(other, one + 1, ranges) else None


def _where(_: Mapping[str, Range], condition: Size, one: Size, other: Size) -> Size | None:
    return (one if condition else other) if isinstance(condition, int) else None


def _gather(taken: Sequence[Content | None], _a: Mapping[str, Argument], _r: Mapping[str, Range]) -> Content | None:
    data, index = taken
    if data is None or index is None or len(data.shape) != 1:
        return None
    places = [one for one in index.numbers if isinstance(one, int) and -len(data.numbers) <= one < len(data.numbers)]
    if len(places) != len(index.numbers):
        return None
    return Content(index.shape, tuple(data.numbers[one] for one in places))


def _concat(taken: Sequence[Content | None], _a: Mapping[str, Argument], _r: Mapping[str, Range]) -> Content | None:
    numbers = tuple(number for one in taken if one is not None for number in one.numbers)
    return Content((len(numbers),), numbers)


def _slice(taken: Sequence[Content | None], _a: Mapping[str, Argument], _r: Mapping[str, Range]) -> Content | None:
    data, starts, ends, *rest = taken
    steps = rest[1] if len(rest) > 1 else None
    if data is None or starts is None or ends is None or len(data.shape) != 1 or len(starts.numbers) != 1:
        return None
    start, end, step = starts.numbers[0], ends.numbers[0], steps.numbers[0] if steps is not None else 1
    if not isinstance(start, int) or not isinstance(end, int) or not isinstance(step, int) or not step:
        return None
    numbers = data.numbers[slice(start, None if step < 0 and end < -len(data.numbers) else end, step)]
    return Content((len(numbers),), numbers)


def _flat(taken: Sequence[Content | None], _a: Mapping[str, Argument], _r: Mapping[str, Range]) -> Content | None:
    """A list of one number as one number, or the other way; longer lists only stay what they are."""
    data = taken[0]
    return data if data is None or len(data.numbers) != 1 else Content((), data.numbers)


def _listed(taken: Sequence[Content | None], _a: Mapping[str, Argument], _r: Mapping[str, Range]) -> Content | None:
    data = taken[0]
    return None if data is None or data.shape else Content((1,), data.numbers)


def _reshaped(taken: Sequence[Content | None], _a: Mapping[str, Argument], _r: Mapping[str, Range]) -> Content | None:
    data, shape = taken[0], taken[1] if len(taken) > 1 else None
    if data is None or shape is None or len(shape.numbers) > 1:
        return None
    return Content((len(data.numbers),), data.numbers) if shape.numbers else Content((), data.numbers)


def _same(taken: Sequence[Content | None], _a: Mapping[str, Argument], _r: Mapping[str, Range]) -> Content | None:
    return taken[0]


def _cast(
    taken: Sequence[Content | None], attributes: Mapping[str, Argument], _r: Mapping[str, Range]
) -> Content | None:
    return taken[0] if attributes.get("to") in (_INT64, _INT32) else None


def _all(
    taken: Sequence[Content | None], attributes: Mapping[str, Argument], _r: Mapping[str, Range]
) -> Content | None:
    data = taken[0]
    if data is None:
        return None
    keep = attributes.get("keepdims", 1)
    return Content((1,) if keep and data.shape else (), (product(data.numbers),))


def _unlisted(taken: Sequence[Content | None], a: Mapping[str, Argument], r: Mapping[str, Range]) -> Content | None:
    data = taken[0]
    return None if data is None or len(data.numbers) != 1 or len(data.shape) != 1 else _flat(taken, a, r)


_RULES: dict[str, _Rule] = {
    "Add": _elementwise(lambda _, one, other: one + other),
    "Sub": _elementwise(lambda _, one, other: one - other),
    "Mul": _elementwise(lambda _, one, other: one * other),
    "Div": _elementwise(_divided),
    "Mod": _elementwise(lambda _, one, other: remainder(one, other) if other != 0 else None),
    "Min": _elementwise(lambda ranges, one, other: smaller(one, other, ranges)),
    "Max": _elementwise(lambda ranges, one, other: larger(one, other, ranges)),
    "Neg": _elementwise(lambda _, one: -one),
    "Equal": _elementwise(_equal),
    "Less": _elementwise(_less),
    "Not": _elementwise(lambda _, one: 1 - one),
    "Where": _elementwise(_where),
    "Gather": _gather,
    "Concat": _concat,
    "Slice": _slice,
    "Squeeze": _unlisted,
    "Unsqueeze": _listed,
    "Reshape": _reshaped,
    "Identity": _same,
    "Cast": _cast,
    "ReduceProd": _all,
}
