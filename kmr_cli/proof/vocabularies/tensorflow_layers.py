"""TensorFlow's operations that compute: products, reductions, convolutions, normalization, quantization."""

from __future__ import annotations

from dataclasses import replace

from kmr_cli.proof.call import Call, Rule, generic_free
from kmr_cli.proof.owners import (
    Clear,
    Free,
    Meet,
    MeetError,
    NoRuleError,
    Operand,
    Own,
    Owner,
    Routed,
    Unknown,
    any_count,
    varies,
)
from kmr_cli.proof.primitives import contract, pointwise, reduce, window
from kmr_cli.proof.sizes import any_of_batch

_INDICES = frozenset({3, 9})
"""TensorFlow's numbers for int32 and int64."""


def cast(call: Call) -> Clear:
    """The same numbers in another dtype; places along an axis stay such only as whole numbers of enough bits."""
    owner = call.needed("self").owner
    if isinstance(owner, Own) or call.integer("DstT", 0) in _INDICES:
        return owner
    return replace(owner, index=None)


def reduced(call: Call) -> Clear:
    """``Mean`` and its kin: along no axis where none is named."""
    operand = call.needed("self")
    return reduce.reduced(operand, call.axes("axes", operand.rank), keep=call.flag("keep_dims"), what=call.kind)


def arg(call: Call) -> Clear:
    """``ArgMax``, ``ArgMin``."""
    operand = call.needed("self")
    return reduce.reduced(operand, (call.axis("axis", operand.rank),), keep=False, what=call.kind)


def along(call: Call) -> Clear:
    """``Cumsum`` and its kin."""
    operand = call.needed("self")
    return reduce.along(operand, (call.axis("axis", operand.rank),), what=call.kind)


def last(axes: int) -> Rule:
    """A rule: all operands are combined, and elements meet along so many of the last axes."""

    def rule(call: Call) -> tuple[Clear, ...]:
        operand = call.needed("self")
        if operand.rank < axes:
            raise NoRuleError("it has too few axes")
        found = pointwise.joined(call.operands(), operand.shape)
        wanted = range(operand.rank - axes, operand.rank)
        result = reduce.along(Operand(found, operand.shape), wanted, what=call.kind)
        return (result,) * len(call.operator.outputs)

    return rule


def top_k(call: Call) -> tuple[Owner, Owner]:
    """The largest along the last axis, and their places, by which samples may be put back where they were."""
    operand = call.needed("self")
    owner = operand.owner
    if isinstance(owner, Own) and owner.axis == operand.rank - 1:
        node = call.operator
        place = (node.name, node.kind, node.layer, node.call)
        return (
            Meet(f"{call.kind} along axis {owner.axis}, which carries the samples", *place),
            Routed(f"no rule for this use of {node.kind}: it sorts samples", *place),
        )
    found = reduce.along(operand, (operand.rank - 1,), what=call.kind)
    return found, found


def bits(call: Call) -> Clear:
    """``Bitcast`` to a dtype of the same width."""
    operand = call.needed("self")
    if operand.shape != call.shape:
        raise NoRuleError("it cuts numbers into parts, or puts several into one")
    return operand.owner if isinstance(operand.owner, Own) else replace(operand.owner, index=None)


def determinant(call: Call) -> tuple[Clear, ...]:
    """One number, or two, for each matrix."""
    operand = call.needed("self")
    wanted = (operand.rank - 2, operand.rank - 1)
    found = reduce.reduced(operand, wanted, keep=False, what=call.kind)
    return (found,) * len(call.operator.outputs)


def decomposed(call: Call) -> tuple[Clear, ...]:
    """``Svd``, ``Qr``, ``SelfAdjointEigV2``: parts that keep all leading axes."""
    operand = call.needed("self")
    return (reduce.along(operand, (operand.rank - 2, operand.rank - 1), what=call.kind),) * len(call.operator.outputs)


def losses(call: Call) -> tuple[Clear, ...]:
    """A number for every row, and the gradient."""
    scores, labels = call.needed("self"), call.needed("labels")
    if labels.rank < scores.rank:
        labels = Operand(labels.owner, (*labels.shape, 1))
    joined = Operand(pointwise.joined([scores, labels], scores.shape), scores.shape)
    axis = (scores.rank - 1,)
    return (reduce.reduced(joined, axis, keep=False, what=call.kind), reduce.along(joined, axis, what=call.kind))


def whole(call: Call) -> Clear:
    """``L2Loss``: everything in a tensor is summed up."""
    operand = call.needed("self")
    return reduce.reduced(operand, range(operand.rank), keep=False, what=call.kind)


def in_top_k(call: Call) -> Clear:
    """Whether the number of each row is among the largest."""
    scores, index = call.needed("predictions"), call.needed("self")
    rows = reduce.reduced(scores, (1,), keep=False, what=call.kind)
    return pointwise.joined([Operand(rows, scores.shape[:1]), index], call.shape)


# -- products and layers


def matmul(call: Call) -> Clear:
    """A product of two matrices."""
    left, right = call.needed("self"), call.needed("other")
    turned = call.flag("transpose_a"), call.flag("transpose_b")
    return contract.of_matrices(left, right, turned=turned, what=call.kind)


def batch_matmul(call: Call) -> Clear:
    """Products of matrices, whose leading axes are broadcast."""
    left, right = (
        _turned(call.needed(name), call.flag(flag)) for name, flag in (("self", "adj_x"), ("other", "adj_y"))
    )
    return contract.multiplied(left, right, what=call.kind)


def _turned(operand: Operand, flag: bool) -> Operand:
    """A matrix with rows and columns exchanged, where it is to be."""
    if not flag or operand.rank < 2:
        return operand
    last_two = {operand.rank - 1: operand.rank - 2, operand.rank - 2: operand.rank - 1}
    owner = operand.owner
    if isinstance(owner, Own):
        owner = replace(owner, axis=last_two.get(owner.axis, owner.axis))
    else:
        owner = Free(frozenset(last_two.get(axis, axis) for axis in owner.uniform), count=owner.count)
    return Operand(owner, (*operand.shape[:-2], operand.shape[-1], operand.shape[-2]))


def einsum(call: Call) -> Clear:
    """Whatever its equation says."""
    return contract.by_equation(call.text("equation"), call.operands(), len(call.shape))


def bias_add(call: Call) -> Clear:
    """The bias lies along the last axis, or along the one after the samples."""
    operand, bias = call.needed("self"), call.needed("bias")
    if call.text("data_format", "NHWC").startswith("NC"):
        bias = Operand(bias.owner, (*bias.shape, *((1,) * (operand.rank - 2))))
    return pointwise.joined([operand, bias], operand.shape)


def convolution(call: Call) -> Clear:
    """Every kind of convolution, also those that run backwards."""
    operand, weight = call.needed("input"), call.needed("weight")
    return window.convolved(operand, [weight], what=call.kind)


def batch_norm(call: Call) -> tuple[Owner, ...]:
    """``FusedBatchNorm``: by stored statistics, or by those of the batch."""
    operand = call.needed("input")
    others = [one for name in ("weight", "bias", "running_mean", "running_var") if (one := call.operand(name))]
    channels = 1 if call.text("data_format", "NHWC").startswith("NC") else operand.rank - 1
    beside = len(call.operator.outputs) - 1
    if any(isinstance(one.owner, Own) for one in others):
        raise NoRuleError("its statistics depend on samples")
    if not isinstance(operand.owner, Own):
        return (generic_free(call),) * (beside + 1)
    if not call.flag("is_training", default=True):
        spread = [Operand(one.owner, (*one.shape, *((1,) * (operand.rank - 1 - channels)))) for one in others]
        found = pointwise.joined([operand, *spread], operand.shape)
        return (found, *((Unknown("statistics for a backward pass"),) * beside))
    if operand.owner.axis != channels:
        raise MeetError("it takes mean and variance over the batch: batch statistics, as in training")
    # Every channel is one sample's: so layers are normalized where this operation is the fastest.
    place = operand.owner.place or any(varies(one, 0) for one in others)
    around = any_of_batch(size for axis, size in enumerate(operand.shape) if axis != channels)
    found = replace(operand.owner, place=place, count=operand.owner.count or any_count(others) or around)
    statistics = (replace(found, axis=0),) * min(beside, 2)
    return (found, *statistics, *((Unknown("statistics for a backward pass"),) * (beside - len(statistics))))
