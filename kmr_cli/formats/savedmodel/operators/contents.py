"""Numbers that shape arithmetic tells: constants, shapes, and what is computed from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kmr_cli.formats.savedmodel.describe import dtypes
from kmr_cli.formats.savedmodel.operators.arithmetic import ARITHMETIC
from kmr_cli.formats.savedmodel.operators.known import MOST, Content, content
from kmr_cli.formats.savedmodel.operators.use import Use, front
from kmr_cli.proof.primitives.cuts import Cuts
from kmr_cli.proof.sizes import (
    Size,
    UndecidedError,
    UntoldError,
    product,
)

_WHOLE = dtypes.INTEGERS | {"bool"}


def folded(use: Use) -> list[Content] | None:
    """What a node makes, where that is a few numbers that sizes alone decide; None for everything else."""
    rule = _RULES.get(use.op)
    if rule is None:
        return None
    try:
        found = rule(use)
    except (
        UntoldError,
        UndecidedError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
    ):  # a file may hold anything
        return None
    made = found if isinstance(found, list) else [found]
    return made if all(one.size <= MOST for one in made) else None


def _shape(use: Use) -> list[Content]:
    return [content(use.shape(place)) for place in range(len(use.inputs))]


def _same(use: Use) -> list[Content]:
    return [use.content(place) for place in range(len(use.inputs))]


def _cast(use: Use) -> Content:
    given = use.content(0)
    to = dtypes.name(use.integer("DstT"))
    if to == "bool":
        if not all(isinstance(one, int) for one in given.ravel().tolist()):
            raise UntoldError
        return content([int(bool(one)) for one in given.ravel().tolist()], given.shape)
    if to not in ("int32", "int64"):  # what is narrower may not hold the number
        raise UntoldError
    return given


def _packed(use: Use) -> Content:
    return np.stack([use.content(place) for place in range(len(use.inputs))], use.integer("axis"))


def _taken_apart(use: Use) -> list[Content]:
    given = use.content(0)
    axis = front(use.integer("axis"), given.ndim)
    return [np.take(given, place, axis) if given.ndim > 1 else content([given[place]], ())
            for place in range(given.shape[axis])]  # fmt: skip


def _joined(use: Use) -> Content:
    *parts, axis = range(len(use.inputs))
    return np.concatenate([use.content(place) for place in parts], use.fixed(axis)[0])


def _split(use: Use) -> list[Content]:
    given = use.content(1)
    return np.split(given, use.integer("num_split", 1), use.axis(0, given.ndim))


def _split_by(use: Use) -> list[Content]:
    given, lengths = use.content(0), list(use.fixed(1))
    axis = use.axis(2, given.ndim)
    if -1 in lengths:
        lengths[lengths.index(-1)] = given.shape[axis] - sum(lengths) - 1
    return np.split(given, np.cumsum(lengths)[:-1], axis)


def _strided(use: Use) -> Content:
    cuts = Cuts(use.numbers(1), use.numbers(2), use.fixed(3), use.attributes)
    given: Any = use.content(0)
    return _content_of(given[cuts.index()])


def _content_of(found: object) -> Content:
    """What NumPy took out of an array of objects, which may be one of the objects itself."""
    return found if isinstance(found, np.ndarray) else content([found], ())  # type: ignore[list-item]


def _slice(use: Use) -> Content:
    given = use.content(0)
    pairs = zip(use.fixed(1), use.fixed(2), strict=True)
    return given[tuple(slice(start, None if size < 0 else start + size) for start, size in pairs)]


def _gathered(use: Use) -> Content:
    given, places = use.content(0), use.content(1)
    if use.integer("batch_dims"):
        raise UntoldError
    axis = use.axis(2, given.ndim) if len(use.inputs) > 2 else 0
    numbers = np.array(use.fixed(1), int).reshape(places.shape)
    return _content_of(np.take(given, numbers, axis))


def _reshaped(use: Use) -> Content:
    return use.content(0).reshape(use.fixed(1))


def _widened(use: Use) -> Content:
    return np.expand_dims(use.content(0), use.fixed(1)[0])


def _squeezed(use: Use) -> Content:
    axes = use.integers("squeeze_dims")
    return np.squeeze(use.content(0), axes or None)


def _transposed(use: Use) -> Content:
    return np.transpose(use.content(0), use.fixed(1))


def _tiled(use: Use) -> Content:
    return np.tile(use.content(0), use.fixed(1))


def _spread(use: Use) -> Content:
    return np.broadcast_to(use.content(0), use.fixed(1))


def _filled(use: Use) -> Content:
    shape = use.fixed(0)
    if np.prod(shape) > MOST:
        raise UntoldError
    return content([use.number(1)] * int(np.prod(shape)), shape)


def _reversed(use: Use) -> Content:
    given = use.content(0)
    return np.flip(given, tuple(front(axis, given.ndim) for axis in use.fixed(1)))


def _range(use: Use) -> Content:
    start, limit, step = (use.fixed(place)[0] for place in range(3))
    numbers = range(start, limit, step)
    if len(numbers) > MOST:
        raise UntoldError
    return content(list(numbers))


def _inverted(use: Use) -> Content:
    return content([int(place) for place in np.argsort(use.fixed(0))])


def _stitched(use: Use) -> Content:
    half = len(use.inputs) // 2
    found: dict[int, Size] = {}
    for place in range(half):
        if use.content(half + place).shape != use.content(place).shape:
            raise UntoldError
        found.update(zip(use.fixed(place), use.numbers(half + place), strict=True))
    return content([found[place] for place in range(len(found))])


def _like(number: int) -> _Rule:
    def rule(use: Use) -> Content:
        shape = use.shape(0)
        lengths = [size for size in shape if isinstance(size, int)]
        if len(lengths) < len(shape) or np.prod(lengths) > MOST or dtypes.name(use.integer("T")) not in _WHOLE:
            raise UntoldError
        return content([number] * int(np.prod(lengths)), lengths)

    return rule


_Rule = Callable[[Use], "Content | list[Content]"]
_RULES: dict[str, _Rule] = {
    **ARITHMETIC,
    **dict.fromkeys(("Identity", "StopGradient", "PreventGradient", "Snapshot", "EnsureShape", "IdentityN"), _same),
    "Shape": _shape,
    "ShapeN": _shape,
    "Size": lambda use: content([product(use.shape(0))], ()),
    "Rank": lambda use: content([len(use.shape(0))], ()),
    "Cast": _cast,
    "Pack": _packed,
    "Unpack": _taken_apart,
    "ConcatV2": _joined,
    "Split": _split,
    "SplitV": _split_by,
    "StridedSlice": _strided,
    "Slice": _slice,
    "GatherV2": _gathered,
    "Gather": _gathered,
    "Reshape": _reshaped,
    "ExpandDims": _widened,
    "Squeeze": _squeezed,
    "Transpose": _transposed,
    "Tile": _tiled,
    "BroadcastTo": _spread,
    "Fill": _filled,
    "ReverseV2": _reversed,
    "Range": _range,
    "InvertPermutation": _inverted,
    "DynamicStitch": _stitched,
    "ParallelDynamicStitch": _stitched,
    "ZerosLike": _like(0),
    "OnesLike": _like(1),
}
