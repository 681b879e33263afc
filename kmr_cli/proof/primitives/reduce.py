"""Axes that are summed up, or along which elements meet while the shape stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kmr_cli.proof.call import Call, Rule, from_front
from kmr_cli.proof.owners import Clear, Free, MeetError, NoRuleError, Operand, Own
from kmr_cli.proof.sizes import any_of_batch


def reduced(operand: Operand, axes: Sequence[int], *, keep: bool, what: str) -> Clear:
    """The owner after axes are summed up, averaged or the like."""
    if not operand.rank:
        return operand.owner
    count = operand.owner.count or any_of_batch(operand.shape[axis] for axis in axes)
    if isinstance(operand.owner, Own):
        if operand.owner.axis in axes:
            raise MeetError(f"{what} over axis {operand.owner.axis}, which carries the samples")
        shift = 0 if keep else sum(axis < operand.owner.axis for axis in axes)
        return replace(operand.owner, axis=operand.owner.axis - shift, count=count)
    uniform = operand.owner.uniform | frozenset(axes)
    if keep:
        return Free(uniform, count=count)
    places = [axis for axis in range(operand.rank) if axis not in axes]
    return Free(frozenset(place for place, axis in enumerate(places) if axis in uniform), count=count)


def along(operand: Operand, axes: Sequence[int], *, what: str) -> Clear:
    """The owner after elements met along axes that stay: a softmax, a running sum."""
    if not operand.rank:
        return operand.owner
    count = operand.owner.count or any_of_batch(operand.shape[axis] for axis in axes)
    if isinstance(operand.owner, Own):
        if operand.owner.axis in axes:
            raise MeetError(f"{what} along axis {operand.owner.axis}, which carries the samples")
        return replace(operand.owner, count=count)
    return Free(operand.owner.uniform - frozenset(axes), count=count)


def reduce(name: str = "self", axes: str = "dim") -> Rule:
    """A rule: without axes all are meant; the results all have the same owner."""

    def rule(call: Call) -> tuple[Clear, ...]:
        operand = call.needed(name)
        wanted = call.axes(axes, operand.rank) if call.given(axes) else ()
        wanted = wanted or tuple(range(operand.rank))
        keep = len(call.shape) == operand.rank
        found = reduced(operand, wanted, keep=keep, what=call.kind)
        return (found,) * len(call.operator.outputs)

    return rule


def shape_kept(name: str = "self", axes: str = "dim", default: int | None = -1) -> Rule:
    """A rule for what meets along axes and keeps the shape; ``default`` None means all axes."""

    def rule(call: Call) -> tuple[Clear, ...]:
        operand = call.needed(name)
        if call.given(axes) and call.integers(axes):
            wanted = call.axes(axes, operand.rank)
        else:
            wanted = tuple(range(operand.rank)) if default is None else (from_front(default, operand.rank),)
        return (along(operand, wanted, what=call.kind),) * len(call.operator.outputs)

    return rule


def last(axes: int, name: str = "self") -> Rule:
    """A rule for what meets along so many of the last axes and keeps the number of axes: windows, pools, norms."""

    def rule(call: Call) -> tuple[Clear, ...]:
        operand = call.needed(name, "self", "input")
        if operand.rank < axes:
            raise NoRuleError("it has too few axes")
        wanted = range(operand.rank - axes, operand.rank)
        return (along(operand, wanted, what=call.kind),) * len(call.operator.outputs)

    return rule
