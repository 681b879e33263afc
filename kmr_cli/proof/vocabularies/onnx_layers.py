"""ONNX's operators that compute: reductions, products, layers, and numbers out of nothing."""

from __future__ import annotations

from dataclasses import replace

from kmr_cli.proof.call import Call, Rule, generic_free
from kmr_cli.proof.owners import Clear, Free, MeetError, NoRuleError, Operand, Own, Owner, everywhere, varies
from kmr_cli.proof.primitives import (
    attention,
    contract,
    factories,
    normalise,
    pointwise,
    quantize,
    recurrent,
    reduce,
    window,
)
from kmr_cli.proof.sizes import any_of_batch


def reduced(call: Call) -> Clear:
    """``ReduceSum`` and its like: over the axes that are given, all of them where none are."""
    operand = call.needed("self")
    axes = call.axes("axes", operand.rank) if call.given("axes") else ()
    if not axes:
        if call.flag("noop_with_empty_axes"):
            return operand.owner
        axes = tuple(range(operand.rank))
    return reduce.reduced(operand, axes, keep=call.flag("keepdims", default=True), what=call.kind)


def arg(call: Call) -> Clear:
    """``ArgMax`` and ``ArgMin``."""
    operand = call.needed("self", "input_0")
    axes = (call.axis("axis", operand.rank, 0),)
    return reduce.reduced(operand, axes, keep=call.flag("keepdims", default=True), what=call.kind)


def softmax(call: Call) -> Clear:
    """``Softmax`` and its like, in today's form and in the one that flattens first."""
    operand = call.needed("input_0")
    coerced = call.flag("coerced")  # all axes from this one on together, as it was once
    axis = call.axis("axis", operand.rank, 1 if coerced else -1)
    return reduce.along(operand, range(axis, operand.rank) if coerced else (axis,), what=call.kind)


def over_axis(default: int) -> Rule:
    """What puts each place in relation to the others along one axis."""

    def rule(call: Call) -> tuple[Clear, ...]:
        operand = call.needed("self", "input_0")
        axes = (call.axis("axis", operand.rank, default),)
        return (reduce.along(operand, axes, what=call.kind),) * len(call.operator.outputs)

    return rule


def dft(call: Call) -> Clear:
    """A Fourier transform along one axis, of numbers whose real and imaginary parts stand along the last."""
    operand = call.needed("self")
    if not call.given("axis") and operand.rank != 3:
        raise NoRuleError("which axis it is along depends on the version")
    axis = call.axis("axis", operand.rank, 1)
    return reduce.along(operand, (axis, operand.rank - 1), what=call.kind)


def top_k(call: Call) -> tuple[Clear, ...]:
    """The largest along one axis, and where they were."""
    operand = call.needed("self")
    axis = call.axis("axis", operand.rank, -1)
    return (reduce.along(operand, (axis,), what=call.kind),) * len(call.operator.outputs)


def matmul(call: Call) -> Clear:
    """With zero points, which must not depend on samples."""
    for name in ("zero_1", "zero_2", "scale", "zero", "scale_b", "zero_b", "scale_y", "zero_y"):
        one = call.operand(name)
        if one is not None and isinstance(one.owner, Own):
            raise MeetError("a scale or zero point that depends on samples")
    return contract.multiplied(call.needed("self"), call.needed("other"), what=call.kind)


def gemm(call: Call) -> Clear:
    """A product of matrices, each perhaps transposed, and a bias."""
    left, right = call.needed("mat1"), call.needed("mat2")
    found = contract.of_matrices(left, right, turned=(call.flag("transA"), call.flag("transB")), what=call.kind)
    bias = call.operand("self")
    return found if bias is None else pointwise.joined([Operand(found, call.shape), bias], call.shape)


def einsum(call: Call) -> Clear:
    """Whatever the equation says."""
    return contract.by_equation(call.text("equation"), call.operands(), len(call.shape))


def convolution(call: Call) -> Clear:
    """A convolution, quantized ones included: what is not its input must be the same for all samples."""
    others = [one for name in ("weight", "bias", "offset", "mask", "scale", "zero", "scale_w", "zero_w", "scale_y",
                               "zero_y", "zero_1", "zero_2") if (one := call.operand(name)) is not None]  # fmt: skip
    operand = call.needed("input")
    weight = call.needed("weight")
    if operand.rank != weight.rank:
        raise NoRuleError("it runs without a batch axis")
    return window.convolved(operand, others, what=call.kind)


def batch_norm(call: Call) -> tuple[Clear, ...]:
    """Stored statistics; those of the batch in training mode."""
    names = ("weight", "bias", "running_mean", "running_var")
    others = [one for name in names if (one := call.operand(name)) is not None]
    training = call.flag("training_mode")
    found = normalise.by_channel(call, call.needed("input"), others, training=training)
    return (found, *((Free(),) * (len(call.operator.outputs) - 1)))


def layer_norm(call: Call) -> tuple[Clear, ...]:
    """Over the last axes, after a residual where there is one."""
    operand = call.needed("input")
    axis = call.axis("axis", operand.rank, -1)
    skip = call.operand("skip")
    if skip is not None:
        operand = Operand(pointwise.joined([operand, skip], operand.shape), operand.shape)
    return normalise.over_last(call, operand, operand.rank - axis)


def dropout(call: Call) -> Owner | tuple[Owner, ...]:
    """As it is, except in training mode."""
    if call.given("training_mode") and not _is_false(call):
        return (factories.drawn(call),) * len(call.operator.outputs)
    found = call.needed("self").owner
    return (found, *((everywhere(len(call.shape)),) * (len(call.operator.outputs) - 1)))


def _is_false(call: Call) -> bool:
    return any(name == "training_mode" and one in (0, False) for name, one in call.operator.arguments)


def recurrence(call: Call) -> tuple[Owner, ...]:
    """``LSTM`` and its like, over time first: (steps, samples, features)."""
    operand = call.needed("input")
    if call.flag("layout"):
        raise NoRuleError("samples first, a layout that exporters do not write")
    lengths = call.operand("lengths")
    found, state = recurrent.carried(call, operand, 1, call.operands("hx"), call.operands("params"), state_axis=1)
    if lengths is not None and isinstance(lengths.owner, Own) and not isinstance(found, Own):
        raise NoRuleError("only its lengths belong to samples")
    if lengths is not None:
        one = pointwise.joined(
            [Operand(found, operand.shape), Operand(lengths.owner, (*lengths.shape, 1))], operand.shape
        )
        place = isinstance(one, Own) and one.place
        found = replace(found, place=found.place or place) if isinstance(found, Own) else found
        state = replace(state, place=state.place or place) if isinstance(state, Own) else state
    if isinstance(found, Own):
        found = replace(found, axis=2)  # steps, directions, samples, features
    return (found, *((state,) * (len(call.operator.outputs) - 1)))


def attended(call: Call) -> tuple[Owner, ...]:
    """Attention of heads that have an axis of their own: (samples, heads, steps, features)."""
    query, key, value = (call.needed(name) for name in ("query", "key", "value"))
    if query.rank != 4 or call.given("past_key") or call.given("past_value") or call.given("is_causal_cache"):
        raise NoRuleError("a form of attention without heads of its own")
    return (attention.attended(query, key, value, call.operand("attn_mask")),)


def rows(call: Call) -> tuple[Clear, ...]:
    """A model of scikit-learn: every row on its own."""
    operand = call.needed("input_0")
    if not isinstance(operand.owner, Own):
        return (generic_free(call),) * len(call.operator.outputs)
    if operand.rank != 2 or operand.owner.axis != 0:
        raise MeetError(f"{call.kind} runs over the axis that carries the samples")
    return (operand.owner,) * len(call.operator.outputs)


def clip(call: Call) -> Clear:
    """Element by element, between two numbers."""
    operands = call.operands()
    single = [Operand(one.owner, ()) for one in operands[1:]]
    if any(isinstance(one.owner, Own) for one in single):
        raise MeetError("bounds that depend on samples")
    return pointwise.joined([operands[0], *single], call.shape)


def quantized(call: Call) -> Clear:
    """A grid for the whole tensor, or for every place of one axis."""
    operand = call.needed("self")
    scales = call.operands("scale", "zero")
    if any(isinstance(one.owner, Own) for one in scales):
        raise NoRuleError("its scale depends on samples")
    if isinstance(operand.owner, Own):
        axis = call.axis("axis", operand.rank, 1) if operand.rank > 1 or call.given("axis") else 0
        at = any(one.rank and operand.owner.axis == axis and varies(one, 0) for one in scales)
        count = operand.owner.count or any(one.owner.count for one in scales)
        return replace(operand.owner, place=operand.owner.place or at, count=count)
    return generic_free(call)


def chosen(call: Call) -> tuple[Owner, ...]:
    """``DynamicQuantizeLinear``: the scale, and with it every number, comes from all samples together."""
    quantize.chosen(call)
    return (generic_free(call),) * len(call.operator.outputs)


def known(call: Call) -> Free:
    """Numbers that shape arithmetic tells; the engine sees whether the number of samples is in them."""
    numbers = call.sizes("value")
    same = len(set(numbers)) == 1
    counting = len(numbers) > 1 and list(numbers) == list(range(len(numbers)))
    rank = len(call.shape)
    return Free(frozenset(range(rank)) if same else frozenset(), 0 if counting and rank == 1 else None)


def constant(call: Call) -> Free:
    """What the file holds."""
    shape = call.shapes[0]
    return everywhere(0) if shape == () else Free()


def range_(call: Call) -> Free:
    """0, 1, 2 …, or other numbers at even distances."""
    starts_at_zero = call.given("start") and call.operand("start") is None and call.size("start") == 0
    by_one = call.operand("delta") is None and call.size("delta", 1) == 1
    if starts_at_zero and by_one:
        return Free(index=0)
    return Free(count=any_of_batch(call.shape))
