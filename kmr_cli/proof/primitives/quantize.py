"""Numbers on a grid: with a scale that is stored, or one that is taken from all of a tensor."""

from __future__ import annotations

from kmr_cli.proof.call import Call
from kmr_cli.proof.owners import Clear, Free, MeetError, NoRuleError, Operand, Own, any_count
from kmr_cli.proof.primitives.pointwise import joined
from kmr_cli.proof.sizes import any_of_batch


def scaled(call: Call) -> Clear:
    """A grid for the whole tensor, from stored numbers."""
    operands = call.operands()
    if any(one.rank for one in operands[1:] if one.shape != (1,)):
        raise NoRuleError("its scale isn't a single number")
    single = [Operand(one.owner, ()) for one in operands[1:] if not isinstance(one.owner, Own)]
    if len(single) < len(operands) - 1:
        raise NoRuleError("its scale depends on samples")
    return joined([operands[0], *single], call.shape)


def per_axis(call: Call) -> Clear:
    """A grid for every place of an axis."""
    operand = call.needed("input", "self")
    scales = call.operands()[1:]
    if any(isinstance(one.owner, Own) for one in scales):
        raise NoRuleError("its scale depends on samples")
    axis = call.axis("axis", operand.rank)
    if not isinstance(operand.owner, Own):
        return Free(operand.owner.uniform - {axis}, count=any_count([operand, *scales]))
    if axis == operand.owner.axis:
        raise NoRuleError("a scale for every sample by its place")
    return operand.owner


def chosen(call: Call) -> tuple[Clear, ...]:
    """A scale taken from everything in a tensor: dynamic quantization."""
    operand = call.needed("input", "self")
    if isinstance(operand.owner, Own):
        raise MeetError("one scale is taken from all samples together (dynamic quantization)")
    count = operand.owner.count or any_of_batch(operand.shape)
    return (Free(count=count),) * len(call.operator.outputs)
