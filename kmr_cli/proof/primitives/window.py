"""Convolutions, pools and other layers whose batch stands on axis 0, before channels and space."""

from __future__ import annotations

from dataclasses import replace

from kmr_cli.proof.call import Call, Rule, generic_free
from kmr_cli.proof.owners import Clear, Free, MeetError, NoRuleError, Operand, Own, Owner, any_count, counted, varies
from kmr_cli.proof.sizes import any_of_batch


def row_by_row(operands: list[Operand]) -> Free:
    """The owner of a result that is computed row by row along axis 0 from what belongs to no sample."""
    count = any_count(operands) or any(any_of_batch(one.shape[1:]) for one in operands)
    return Free(frozenset() if any(varies(one, 0) for one in operands) else frozenset({0}), count=count)


def convolved(operand: Operand, weights: list[Operand], *, what: str) -> Clear:
    """The owner of a convolution: every sample on its own, with all its channels."""
    if any(isinstance(one.owner, Own) for one in weights):
        raise NoRuleError("its weights depend on samples")
    if not isinstance(operand.owner, Own):
        return counted(row_by_row([operand]), any_count(weights))
    if operand.owner.axis != 0:
        raise MeetError(f"{what} runs over axis {operand.owner.axis}, which carries the samples")
    return replace(operand.owner, count=operand.owner.count or any_count(weights))


def convolution(call: Call) -> Clear:
    """Every kind of convolution."""
    operand, weight = call.needed("input", "self"), call.needed("weight")
    if isinstance(operand.owner, Own) and operand.rank != weight.rank:
        raise MeetError(f"{call.kind} takes the samples for channels: its operand has no batch axis")
    if operand.rank != weight.rank and not isinstance(weight.owner, Own):  # axis 0 of the result is that of channels
        return generic_free(call)
    weights = [one for one in (weight, call.operand("bias")) if one is not None]
    return convolved(operand, weights, what=call.kind)


def patches(call: Call) -> Owner | tuple[Owner, ...]:
    """``im2col``, ``col2im``, which also take an image alone: axis 0 of the result is then one of its places."""
    if isinstance(call.needed("self").owner, Free):
        return generic_free(call)
    return on_batch("self")(call)


def on_batch(*names: str) -> Rule:
    """A rule for operators that take batch, channels, space: the batch stays apart where it stands on axis 0.

    Args:
        names: of all their tensors, which must agree.
    """

    def rule(call: Call) -> tuple[Clear, ...]:
        operands = call.operands(*names)
        owned = [one.owner for one in operands if isinstance(one.owner, Own)]
        if not owned:
            return (row_by_row(operands),) * len(call.operator.outputs)
        if any(one.axis != 0 for one in owned):
            raise MeetError(
                f"{call.kind} over axis {next(one.axis for one in owned if one.axis)}, which carries the samples"
            )
        if any(one.pattern != owned[0].pattern for one in owned) or len(owned) < len(operands):
            raise NoRuleError("some of its operands belong to samples and some do not")
        place, count = any(one.place for one in owned), any_count(operands)
        return (replace(owned[0], place=place, count=count),) * len(call.operator.outputs)

    return rule
