"""Normalization by statistics that are stored, or taken over axes."""

from __future__ import annotations

from dataclasses import replace

from kmr_cli.proof.call import Call, generic_free
from kmr_cli.proof.owners import Clear, Free, MeetError, NoRuleError, Operand, Own, any_count, counted, varies
from kmr_cli.proof.primitives.reduce import along
from kmr_cli.proof.primitives.window import row_by_row
from kmr_cli.proof.sizes import any_of_batch


def by_channel(call: Call, operand: Operand, others: list[Operand], *, training: bool) -> Clear:
    """The owner after batch normalization: channels stand on axis 1."""
    if any(isinstance(one.owner, Own) for one in others):
        raise NoRuleError("its statistics depend on samples")
    if not isinstance(operand.owner, Own):
        return generic_free(call) if training else counted(row_by_row([operand]), any_count(others))
    if training and operand.owner.axis != 1:
        raise MeetError("it takes mean and variance over the batch: batch statistics, as in training")
    if training:
        raise NoRuleError("it takes statistics per sample")
    place = operand.owner.axis == 1 and any(varies(one, 0) for one in others)
    return replace(
        operand.owner, place=operand.owner.place or place, count=operand.owner.count or any_count(others)
    )  # fmt: skip


def batch_norm(call: Call) -> tuple[Clear, ...]:
    """Batch normalization; without stored statistics it takes those of the batch."""
    if call.kind.endswith("no_training"):
        training = False
    elif "legit" in call.kind and not call.given("running_mean"):
        training = True
    else:
        training = call.flag("training") or not call.given("running_mean")
    names = ("weight", "bias", "running_mean", "running_var")
    others = [one for name in names if (one := call.operand(name)) is not None]
    found = by_channel(call, call.needed("input"), others, training=training)
    return (found, *((Free(),) * (len(call.operator.outputs) - 1)))


def layer_norm(call: Call) -> tuple[Clear, ...]:
    """Over the last axes, with a weight for each element of them."""
    operand = call.needed("input")
    if call.given("normalized_shape"):
        argument = next(one for name, one in call.operator.arguments if name == "normalized_shape")
        count = len(argument) if isinstance(argument, tuple) else 1
    else:
        count = 1
    return over_last(call, operand, count)


def over_last(call: Call, operand: Operand, axes: int) -> tuple[Clear, ...]:
    """The owners of a result normalized over so many of the last axes, and of its statistics."""
    found = along(operand, range(operand.rank - axes, operand.rank), what=call.kind)
    weights = [one for name in ("weight", "bias") if (one := call.operand(name)) is not None]
    if any(isinstance(one.owner, Own) for one in weights):
        raise NoRuleError("its weights depend on samples")
    if any_count(weights):
        found = replace(found, count=True)
    return (found,) * len(call.operator.outputs)


def group_norm(call: Call) -> tuple[Clear, ...]:
    """Over channels and space of each sample."""
    operand = call.needed("input")
    weights = [one for name in ("weight", "bias") if (one := call.operand(name)) is not None]
    if any(isinstance(one.owner, Own) for one in weights):
        raise NoRuleError("its weights depend on samples")
    if not isinstance(operand.owner, Own):
        return (generic_free(call),) * len(call.operator.outputs)
    if operand.owner.axis != 0:
        raise MeetError(f"{call.kind} over axis {operand.owner.axis}, which carries the samples")
    count = operand.owner.count or any_of_batch(operand.shape[1:]) or any_count(weights)
    return (replace(operand.owner, count=count),) * len(call.operator.outputs)


def instance_norm(call: Call) -> Clear:
    """Over the space of each channel of each sample."""
    operand = call.needed("input")
    names = ("weight", "bias", "running_mean", "running_var")
    others = [one for name in names if (one := call.operand(name)) is not None]
    if any(isinstance(one.owner, Own) for one in others):
        raise NoRuleError("its weights depend on samples")
    if not isinstance(operand.owner, Own):
        return generic_free(call)
    if operand.owner.axis >= 2:
        raise MeetError(f"{call.kind} over axis {operand.owner.axis}, which carries the samples")
    if call.given("running_mean") and call.flag("use_input_stats", default=True):
        raise NoRuleError("it also updates statistics over the batch")
    place = operand.owner.axis == 1 and any(varies(one, 0) for one in others)
    return replace(operand.owner, place=operand.owner.place or place)


def of_weights(call: Call) -> Clear:
    """What is done to weights before they are used: of values that belong to no sample, and of no others."""
    if any(isinstance(one.owner, Own) for one in call.operands()):
        raise NoRuleError("its weights depend on samples")
    return generic_free(call)
