"""Layers that run over steps and carry a state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kmr_cli.proof.call import Call, generic_free
from kmr_cli.proof.owners import Clear, MeetError, NoRuleError, Operand, Own, Owner, any_count, varies
from kmr_cli.proof.primitives.factories import drawn
from kmr_cli.proof.primitives.pointwise import ELSEWHERE
from kmr_cli.proof.sizes import any_of_batch


def carried(
    call: Call, operand: Operand, axis: int, states: Sequence[Operand], weights: Sequence[Operand], *, state_axis: int
) -> tuple[Clear, Clear]:
    """The owners of a sequence of results and of the last state.

    Args:
        call: for messages.
        operand: the sequence, with three axes.
        axis: of it that must carry the samples.
        states: at the start.
        weights: of the layer.
        state_axis: the samples' axis of states.
    """
    if any(isinstance(one.owner, Own) for one in weights):
        raise NoRuleError("its weights depend on samples")
    owned = [one.owner for one in (operand, *states) if isinstance(one.owner, Own)]
    if not owned:
        free = generic_free(call)
        return free, free
    if operand.rank != 3:
        raise NoRuleError("it runs without a batch axis")
    if isinstance(operand.owner, Own) and operand.owner.axis != axis:
        raise MeetError(f"{call.kind} runs over axis {operand.owner.axis}, which carries the samples")
    for one in states:
        if isinstance(one.owner, Own) and (one.owner.axis != state_axis):
            raise MeetError(f"{call.kind} starts from a state whose samples are on another axis")
    first = owned[0]
    if any((one.outer, one.inner) != (first.outer, first.inner) for one in owned):
        raise MeetError(ELSEWHERE)
    place = any(one.place for one in owned) or varies(operand, axis) or any(varies(one, state_axis) for one in states)
    steps = operand.shape[1 if axis == 0 else 0]
    count = any_count([operand, *states, *weights]) or any_of_batch((steps,))
    found = replace(first, axis=axis, place=place, count=count)
    return found, replace(found, axis=state_axis)


def layer(call: Call) -> tuple[Owner, ...]:
    """``lstm``, ``gru``, ``rnn_tanh``, ``rnn_relu`` on sequences of one length."""
    if call.given("batch_sizes"):
        raise NoRuleError("packed sequences")
    operand = call.needed("input")
    if call.number("dropout", 0.0) > 0 and call.flag("train"):
        return (drawn(call),) * len(call.operator.outputs)
    axis = 0 if call.flag("batch_first") else 1
    found, state = carried(call, operand, axis, call.operands("hx"), call.operands("params"), state_axis=1)
    return (found, *((state,) * (len(call.operator.outputs) - 1)))


def cell(call: Call) -> tuple[Clear, ...]:
    """One step: rows of the input and of the state belong together."""
    weights = call.operands("w_ih", "w_hh", "b_ih", "b_hh")
    rows = call.operands("input", "hx")
    if any(isinstance(one.owner, Own) for one in weights):
        raise NoRuleError("its weights depend on samples")
    owned = [one.owner for one in rows if isinstance(one.owner, Own)]
    if not owned:
        return (generic_free(call),) * len(call.operator.outputs)
    if any(one.axis != 0 or one.pattern != owned[0].pattern for one in owned) or len(call.shape) != 2:
        raise MeetError(f"{call.kind} on rows that aren't samples")
    place = any(one.place for one in owned) or any(varies(one, 0) for one in rows)
    found = replace(owned[0], place=place, count=any_count([*rows, *weights]))
    return (found,) * len(call.operator.outputs)
