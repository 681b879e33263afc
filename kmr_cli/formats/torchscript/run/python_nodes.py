"""What TorchScript has of Python: numbers, lists, tuples, dictionaries. Sizes may be torch's symbolic ones."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from kmr_cli.formats.common.words import words
from kmr_cli.formats.torchscript.run.lockstep import NotFollowedError, Number, extreme

DTYPES = (
    "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex32", "complex64", "complex128",
    "bool", "qint8", "quint8", "qint32", "bfloat16",
)  # fmt: skip
"""In TorchScript a dtype is a number."""


def _raised(_: Any, given: list[Any]) -> Any:
    raise NotFollowedError(f"its code raises: {given[0] if given else 'an error'}")


def _kept(_: Any, __: list[Any]) -> Any:
    raise NotFollowedError("its code keeps something for the next call")


def _listed(_: Any, given: list[Any]) -> Any:
    return list(given)


def _tuple(_: Any, given: list[Any]) -> Any:
    return tuple(given)


def _dictionary(_: Any, given: list[Any]) -> Any:
    return dict(zip(given[::2], given[1::2], strict=True))


def _unpacked(node: Any, given: list[Any]) -> Any:
    values = list(given[0])
    return values[0] if len(values) == 1 and node.outputsSize() == 1 else values


def _same(_: Any, given: list[Any]) -> Any:
    return given[0]


def _of_tensor(read: Callable[[Any], Any]) -> Callable[[Any, list[Any]], Any]:
    return lambda _, given: read(given[0])


PRIMITIVES: dict[str, Callable[[Any, list[Any]], Any]] = {
    "prim::ListConstruct": _listed,
    "prim::TupleConstruct": _tuple,
    "prim::DictConstruct": _dictionary,
    "prim::ListUnpack": _unpacked,
    "prim::TupleUnpack": _unpacked,
    "prim::TupleIndex": lambda _, given: given[0][given[1]],
    "prim::NumToTensor": _same,  # a number stays one: it is used as such, or where torch takes either
    "prim::unchecked_cast": _same,
    "prim::unchecked_unwrap_optional": _same,
    "aten::wait": _same,  # a task has run already
    "prim::Uninitialized": lambda _, __: None,
    "prim::RaiseException": _raised,
    "prim::SetAttr": _kept,
    "prim::dtype": _of_tensor(lambda tensor: DTYPES.index(str(tensor.dtype).removeprefix("torch."))),
    "prim::device": _of_tensor(lambda tensor: tensor.device),
    "prim::layout": _of_tensor(lambda tensor: tensor.layout),
    "prim::is_cuda": _of_tensor(lambda tensor: tensor.is_cuda),
    "prim::min": lambda _, given: extreme(min, given if len(given) > 1 else given[0]),
    "prim::max": lambda _, given: extreme(max, given if len(given) > 1 else given[0]),
    "prim::Print": lambda _, __: (),
    "aten::warn": lambda _, __: (),
    "aten::size": lambda _, given: given[0].shape[given[1]] if len(given) > 1 else list(given[0].shape),
    "aten::dim": lambda _, given: given[0].dim(),
    "aten::len": lambda _, given: given[0].shape[0] if hasattr(given[0], "shape") else len(given[0]),
    "aten::numel": lambda _, given: given[0].numel(),
    "aten::is_floating_point": lambda _, given: given[0].is_floating_point(),
    "aten::is_complex": lambda _, given: given[0].is_complex(),
    "aten::__is__": lambda _, given: given[0] is given[1],
    "aten::__isnot__": lambda _, given: given[0] is not given[1],
    "aten::append": lambda _, given: _appended(*given),
}
"""What is done whatever the values are."""


def _whole(value: Any) -> Any:
    """Rounded towards 0."""
    return math.trunc(value)


def _float(value: Any) -> Any:
    return value.mapped("float", float) if isinstance(value, Number) else float(value)


def _rooted(value: Any) -> Any:
    return value.mapped("sqrt", math.sqrt) if isinstance(value, Number) else math.sqrt(value)


def _is_same(value: Any) -> Any:
    return value


def _appended(values: list[Any], one: Any) -> list[Any]:
    values.append(one)
    return values


def _divided(one: Any, other: Any, rounding_mode: str | None = None) -> Any:
    if rounding_mode is None:
        return one / other
    return one // other if rounding_mode == "floor" else _cut(one, other)


def _cut(one: Any, other: Any) -> Any:
    """Rounded towards 0."""
    if isinstance(one, Number) or isinstance(other, Number):
        if one < 0 or other < 1:
            raise NotFollowedError("it rounds a negative number of samples towards 0")
        return one // other
    return math.trunc(one / other)


def _added(one: Any, other: Any, alpha: Any = 1) -> Any:
    return one + other if alpha == 1 else one + alpha * other


def _added_to(values: Any, more: Any) -> Any:
    values += more
    return values


def _subtracted(one: Any, other: Any, alpha: Any = 1) -> Any:
    return one - other if alpha == 1 else one - alpha * other


def _sliced(values: Any, start: Any = None, end: Any = None, step: Any = 1) -> Any:
    return values[start:end:step]


ON_PLAIN_VALUES: dict[str, Callable[..., Any]] = {
    "add": _added,
    "sub": _subtracted,
    "mul": operator.mul,
    "div": _divided,
    "add_": _added_to,
    "floordiv": operator.floordiv,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "neg": operator.neg,
    "abs": abs,
    "pow": operator.pow,
    "sqrt": _rooted,
    "item": _is_same,
    "ScalarImplicit": _is_same,
    "IntImplicit": _is_same,
    "FloatImplicit": _is_same,
    "Int": _whole,
    "Float": _float,
    "Bool": bool,
    "is_nonzero": bool,
    "ceil": math.ceil,
    "floor": math.floor,
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "__not__": operator.not_,
    "__and__": lambda one, other: one and other,
    "__or__": lambda one, other: one or other,
    "__getitem__": operator.getitem,
    "__contains__": lambda values, one: one in values,
    "slice": _sliced,
    "list": list,
    "keys": lambda values: list(values.keys()),
    "values": lambda values: list(values.values()),
    "_set_item": operator.setitem,
    "_unwrap_optional": _is_same,
    "extend": lambda values, more: values.extend(more),
    "insert": lambda values, place, one: values.insert(place, one),
    "pop": lambda values, *place: values.pop(*place),
    "clear": lambda values: values.clear(),
    "copy": lambda values: values.copy(),
    "reverse": lambda values: values.reverse(),
    "items": lambda values: list(values.items()),
    "get": lambda values, *key: values.get(*key),
    "update": lambda values, more: values.update(more),
    "__range_length": lambda low, high, step: max(0, -((low - high) // step)),
    "__derive_index": lambda turn, start, step: start + turn * step,
    "format": lambda text, *values: str(text).format(*values),
}
"""What is done to numbers, texts, lists and dictionaries; on tensors these are operators like any other."""
NUMBERS_OF_TENSORS = words("item Int Float ScalarImplicit IntImplicit FloatImplicit Bool is_nonzero")
"""Those that may be given a tensor, for the number in it."""
