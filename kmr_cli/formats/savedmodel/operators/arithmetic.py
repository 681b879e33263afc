"""Arithmetic on numbers that sizes decide: element by element, and along axes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np

from kmr_cli.formats.savedmodel.operators.known import MOST, Content, content
from kmr_cli.formats.savedmodel.operators.use import Use, front
from kmr_cli.proof.sizes import Size, UntoldError, at_least, floor_quotient, larger, product, remainder, smaller

Rule = Callable[[Use], Content]


def _elementwise(compute: Callable[..., Size | None]) -> Rule:
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


def _bounded(side: int, compute: Callable[..., Size]) -> Rule:
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


def _reduced(combine: Callable[[Use, Sequence[Size]], Size | None]) -> Rule:
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


_add = _elementwise(lambda _, one, other: one + other)
ARITHMETIC: dict[str, Rule] = {
    "Add": _add,
    "AddV2": _add,
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
}
