"""Axes in another order, and single ones taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kmr_cli.proof.call import Call
from kmr_cli.proof.owners import Clear, Free, MeetError, NoRuleError, Operand, Own
from kmr_cli.proof.sizes import Size, any_of_batch


def permuted(operand: Operand, order: Sequence[int]) -> Clear:
    """The owner after axes are put into another order."""
    if sorted(order) != list(range(operand.rank)):
        raise NoRuleError("its axes aren't a permutation")
    if isinstance(operand.owner, Own):
        return replace(operand.owner, axis=list(order).index(operand.owner.axis))
    uniform = frozenset(place for place, axis in enumerate(order) if axis in operand.owner.uniform)
    index = None if operand.owner.index is None else list(order).index(operand.owner.index)
    period = operand.owner.period
    moved_period = None if period is None else (list(order).index(period[0]), period[1])
    return Free(uniform, index, operand.owner.count, period=moved_period)


def permute(call: Call) -> Clear:
    """A rule for ``permute``."""
    operand = call.needed("self")
    return permuted(operand, call.axes("dims", operand.rank))


def transpose(call: Call) -> Clear:
    """Two axes change places."""
    operand = call.needed("self")
    order = list(range(operand.rank))
    one = call.axis("dim0" if call.given("dim0") else "axis0", operand.rank)
    other = call.axis("dim1" if call.given("dim1") else "axis1", operand.rank)
    order[one], order[other] = order[other], order[one]
    return permuted(operand, order)


def reversed_axes(call: Call) -> Clear:
    """``t()`` and ``.T``."""
    operand = call.needed("self")
    return permuted(operand, range(operand.rank)[::-1])


def matrix_transpose(call: Call) -> Clear:
    """The last two axes change places."""
    operand = call.needed("self")
    order = list(range(operand.rank))
    return permuted(operand, [*order[:-2], *order[-2:][::-1]])


def moved(call: Call) -> Clear:
    """``movedim``."""
    operand = call.needed("self")
    source, target = call.axes("source", operand.rank), call.axes("destination", operand.rank)
    rest = iter([axis for axis in range(operand.rank) if axis not in source])
    to = dict(zip(target, source, strict=True))
    return permuted(operand, [to[axis] if axis in to else next(rest) for axis in range(operand.rank)])


def without(operand: Operand, axis: int, batch: Size, *, count: bool) -> Clear:
    """The owner of one slice along an axis; ``count`` where the number of samples decides which."""
    if isinstance(operand.owner, Own):
        if operand.owner.axis == axis and isinstance(batch, int):
            raise NoRuleError("it takes single samples")  # a loop over the samples, perhaps, that was rolled out
        if operand.owner.axis == axis:
            raise MeetError(f"it takes one place of axis {axis}, which carries the samples, for all of them")
        moved_axis = operand.owner.axis - (axis < operand.owner.axis)
        return replace(operand.owner, axis=moved_axis, count=operand.owner.count or count)
    index = operand.owner.index
    return Free(
        frozenset(one - (axis < one) for one in operand.owner.uniform if one != axis),
        None if index is None or index == axis else index - (axis < index),
        operand.owner.count or count,
    )


def select(call: Call) -> Clear:
    """One place of an axis; a place counted from the end of all samples depends on their number."""
    operand = call.needed("self")
    axis = call.axis("dim", operand.rank, 0)
    place = call.size("index")
    from_end = not isinstance(place, int) or place < 0
    return without(operand, axis, call.batch, count=from_end and any_of_batch((operand.shape[axis],)))


def unbind(call: Call) -> tuple[Clear, ...]:
    """All places of an axis, one by one."""
    operand = call.needed("self")
    found = without(operand, call.axis("dim", operand.rank, 0), call.batch, count=False)
    return (found,) * len(call.operator.outputs)


def diagonal(call: Call) -> Clear:
    """Two axes become the last one."""
    operand = call.needed("self")
    gone = {call.axis("dim1", operand.rank, 0), call.axis("dim2", operand.rank, 1)}
    if isinstance(operand.owner, Free):
        raise NoRuleError("a diagonal of what belongs to no sample")
    if operand.owner.axis in gone:
        raise NoRuleError("a diagonal along the samples' axis")
    return replace(operand.owner, axis=operand.owner.axis - sum(one < operand.owner.axis for one in gone))
