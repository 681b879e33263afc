"""Element by element, after broadcasting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kmr_cli.proof.call import Call, Rule
from kmr_cli.proof.owners import Clear, Free, MeetError, NoRuleError, Operand, Own, any_count, varies
from kmr_cli.proof.sizes import Shape

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
        return Free(_uniform(taken, len(shape)), count=count)
    place = found.place or any(varies(one, found.axis - len(shape)) for one in taken)
    return replace(found, place=place, count=count)


def _uniform(operands: list[Operand], rank: int) -> frozenset[int]:
    return frozenset(axis for axis in range(rank) if not any(varies(one, axis - rank) for one in operands))


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
