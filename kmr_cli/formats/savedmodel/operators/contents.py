"""Numbers that shape arithmetic tells: constants, shapes, and what is computed from them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from kmr_cli.formats.savedmodel.describe import dtypes
from kmr_cli.formats.savedmodel.operators.known import MOST, Content, content
from kmr_cli.formats.savedmodel.operators.use import UntoldError, Use, front
from kmr_cli.proof.primitives.cuts import Cuts
from kmr_cli.proof.sizes import (
    Size,
    UndecidedError,
    at_least,
    floor_quotient,
    larger,
    product,
    remainder,
    smaller,
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


_Rule = Callable[[Use], "Content | list[Content]"]
_One = Callable[[Use], Content]


def _elementwise(compute: Callable[..., Size | None]) -> _One:
    """Number by number, after broadcasting."""

    def rule(use: Use) -> Content:
        given = np.broadcast_arrays(*(use.content(place) for place in range(len(use.inputs))))
        if given[0].size > MOST:
            raise UntoldError
        rows = zip(*(one.ravel().tolist() for one in given), strict=True)
        return content(_told([compute(use, *row) for row in rows]), given[0].shape)

    return rule


def _told(numbers: Sequence[Size | None]) -> list[Size]:
    found = [one for one in numbers if one is not None]
    if len(found) < len(numbers):
        raise UntoldError
    return found


def _cut_short(_: Use, one: Size, other: Size) -> Size | None:
    """Division that rounds towards 0; of sizes, which are never negative, that is downwards."""
    if isinstance(one, int) and isinstance(other, int):
        return None if not other else abs(one) // abs(other) * (1 if (one < 0) == (other < 0) else -1)
    return floor_quotient(one, other) if other != 0 else None


def _rounded_down(_: Use, one: Size, other: Size) -> Size | None:
    return None if other == 0 else floor_quotient(one, other)


def _equal(use: Use, one: Size, other: Size) -> int | None:
    if one == other:
        return 1
    ranges = use.known.ranges
    return 0 if at_least(one, other + 1, ranges) or at_least(other, one + 1, ranges) else None


def _less(use: Use, one: Size, other: Size) -> int | None:
    if at_least(one, other, use.known.ranges):
        return 0
    return 1 if at_least(other, one + 1, use.known.ranges) else None


def _flipped(found: int | None) -> int | None:
    return None if found is None else 1 - found


def _chosen(_: Use, condition: Size, one: Size, other: Size) -> Size | None:
    if one == other:
        return one
    return (one if condition else other) if isinstance(condition, int) else None


def _magnitude(use: Use, one: Size) -> Size | None:
    return abs(one) if isinstance(one, int) else one if at_least(one, 0, use.known.ranges) else None


def _both(_: Use, one: Size, other: Size) -> int | None:
    return int(bool(one) and bool(other)) if isinstance(one, int) and isinstance(other, int) else None


def _one_of(_: Use, one: Size, other: Size) -> int | None:
    return int(bool(one) or bool(other)) if isinstance(one, int) and isinstance(other, int) else None


def _bounded(side: int, compute: Callable[..., Size]) -> _Rule:
    """A maximum or minimum, also of one known number with another that is never on the further side of it."""

    def rule(use: Use) -> Content:
        for place in (0, 1):
            found = use.known.contents.get(use.inputs[place])
            bound = use.known.bounds.get(use.known.origin(use.inputs[1 - place]), (None, None))[side]
            if bound is not None and found is not None and found.shape == ():
                extreme = compute(use, found.item(), bound)
                if extreme == found.item():
                    return found
        return _elementwise(compute)(use)

    return rule


def bounds(use: Use) -> tuple[int | None, int | None] | None:
    """The bounds that a maximum or minimum sets with one known number, whatever its other operand is."""
    if use.op not in ("Maximum", "Minimum"):
        return None
    known = [found.item() for name in use.inputs if (found := use.known.contents.get(name)) is not None
             and found.shape == ()]  # fmt: skip
    number = next((one for one in known if isinstance(one, int)), None)
    return (number, None) if use.op == "Maximum" else (None, number)


def above_one(use: Use) -> Size | None:
    """The size of which a comparison tells whether it is above 1."""
    if use.op != "Greater":
        return None
    size, one = (use.known.contents.get(name) for name in use.inputs)
    if size is None or one is None or size.shape != () or one.shape != () or one.item() != 1:
        return None
    found: Size = size.item()
    return found


def _reduced(combine: Callable[[Use, Sequence[Size]], Size | None]) -> _Rule:
    def rule(use: Use) -> Content:
        given = use.content(0)
        axes = sorted({front(axis, given.ndim) for axis in use.fixed(1)})
        rest = [axis for axis in range(given.ndim) if axis not in axes]
        shape = tuple(given.shape[axis] for axis in rest)
        rows = np.transpose(given, [*rest, *axes]).reshape(*shape, -1).reshape(int(np.prod(shape)), -1)
        found = content(_told([combine(use, row.tolist()) for row in rows]), shape)
        return np.expand_dims(found, tuple(axes)) if use.integer("keep_dims") else found

    return rule


def _total(_: Use, numbers: Sequence[Size]) -> Size:
    return reduce(operator.add, numbers, 0)


def _largest(use: Use, numbers: Sequence[Size]) -> Size:
    return reduce(lambda one, other: larger(one, other, use.known.ranges), numbers)


def _smallest(use: Use, numbers: Sequence[Size]) -> Size:
    return reduce(lambda one, other: smaller(one, other, use.known.ranges), numbers)


def _all(_: Use, numbers: Sequence[Size]) -> int | None:
    return int(all(numbers)) if all(isinstance(one, int) for one in numbers) else None


def _any(_: Use, numbers: Sequence[Size]) -> int | None:
    return int(any(numbers)) if all(isinstance(one, int) for one in numbers) else None


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
    if to not in _WHOLE:
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


_add = _elementwise(lambda _, one, other: one + other)
_ADDITIONS = dict.fromkeys(("Add", "AddV2"), _add)
_RULES: dict[str, _Rule] = {
    **_ADDITIONS,
    **dict.fromkeys(("Identity", "StopGradient", "PreventGradient", "Snapshot", "EnsureShape", "IdentityN"), _same),
    **dict.fromkeys(("Select", "SelectV2"), _elementwise(_chosen)),
    "Sub": _elementwise(lambda _, one, other: one - other),
    "Mul": _elementwise(lambda _, one, other: one * other),
    "Neg": _elementwise(lambda _, one: -one),
    "Abs": _elementwise(_magnitude),
    "Square": _elementwise(lambda _, one: one * one),
    "FloorDiv": _elementwise(_rounded_down),
    "TruncateDiv": _elementwise(_cut_short),
    "Div": _elementwise(_cut_short),
    "FloorMod": _elementwise(lambda _, one, other: None if other == 0 else remainder(one, other)),
    "Maximum": _bounded(1, lambda use, one, other: larger(one, other, use.known.ranges)),
    "Minimum": _bounded(0, lambda use, one, other: smaller(one, other, use.known.ranges)),
    "Equal": _elementwise(_equal),
    "NotEqual": _elementwise(lambda use, one, other: _flipped(_equal(use, one, other))),
    "Less": _elementwise(_less),
    "GreaterEqual": _elementwise(lambda use, one, other: _flipped(_less(use, one, other))),
    "Greater": _elementwise(lambda use, one, other: _less(use, other, one)),
    "LessEqual": _elementwise(lambda use, one, other: _flipped(_less(use, other, one))),
    "LogicalNot": _elementwise(lambda _, one: 1 - one),
    "LogicalAnd": _elementwise(_both),
    "LogicalOr": _elementwise(_one_of),
    "Sum": _reduced(_total),
    "Prod": _reduced(lambda _, numbers: product(numbers)),
    "Max": _reduced(_largest),
    "Min": _reduced(_smallest),
    "All": _reduced(_all),
    "Any": _reduced(_any),
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
