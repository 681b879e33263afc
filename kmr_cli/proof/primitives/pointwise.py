"""Element by element, after broadcasting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kmr_cli.proof.call import Call, Rule
from kmr_cli.proof.owners import Clear, Free, MeetError, NoRuleError, Operand, Own, any_count, tells_place, varies
from kmr_cli.proof.sizes import Shape, Size

ELSEWHERE = "values whose samples are in different places are combined"


def joined(operands: Iterable[Operand], shape: Shape) -> Clear:
    """The owner of a result of this shape to which elements at the same place contribute."""
    taken = list(operands)
    if any(one.rank > len(shape) for one in taken):
        raise NoRuleError("an operand has more axes than the result")
    found: Own | None = None
    for one in taken:
        if not isinstance(one.owner, Own):
            continue
        aligned = replace(one.owner, axis=one.owner.axis + len(shape) - one.rank)
        if found is not None and found.pattern != aligned.pattern:
            raise MeetError(ELSEWHERE)
        found = aligned if found is None else replace(found, place=found.place or aligned.place)
    count = any_count(taken)
    if found is None:
        return Free(_uniform(taken, len(shape)), count=count, period=_period(taken, len(shape)))
    place = found.place or any(tells_place(one, found.axis - len(shape), found) for one in taken)
    return replace(found, place=place, count=count)


def _uniform(operands: list[Operand], rank: int) -> frozenset[int]:
    return frozenset(axis for axis in range(rank) if not any(varies(one, axis - rank) for one in operands))


def _period(operands: list[Operand], rank: int) -> tuple[int, Size] | None:
    """That of the first one which has one, where all of them have the same or do not vary there."""
    known = [(one.owner.period, one.rank) for one in operands if isinstance(one.owner, Free)]
    found = next(((period[0] + rank - mine, period[1]) for period, mine in known if period is not None), None)
    if found is None:
        return None
    axis, length = found
    same = all(
        not varies(one, axis - rank)
        or (isinstance(one.owner, Free) and one.owner.period == (axis - rank + one.rank, length))
        for one in operands
    )
    return found if same else None


def elementwise(*names: str) -> Rule:
    """A rule for the tensors of these arguments; without names, for all."""

    def rule(call: Call) -> Clear:
        return joined(call.operands(*names), call.shape)

    return rule


every = elementwise()


def converted(call: Call) -> Clear:
    """The same elements in another dtype, layout or memory."""
    operands = call.operands()
    if len(operands) == 1 and operands[0].shape == call.shape:
        return operands[0].owner
    return joined(operands, call.shape)


def like(call: Call) -> Free:
    """A new tensor that holds one number throughout; what it takes its shape from plays no part."""
    return Free(frozenset(range(len(call.shape))))


def filled(call: Call) -> Clear:
    """A tensor of one number, which may be one that is computed."""
    numbers = [one for one in call.operands("fill_value", "value") if not one.rank]
    return joined(numbers, call.shape)


def overwritten(call: Call) -> Clear:
    """``copy_``: the first argument becomes the second, spread over it."""
    return joined([call.needed("src", "value", "other")], call.needed_shape("self"))
