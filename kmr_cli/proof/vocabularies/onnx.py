"""ONNX's operators, whose inputs carry the names that the graph of the format gives them: ``self``, ``weight``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from kmr_cli.proof.call import Call, Rule, generic_free
from kmr_cli.proof.engine import Entry
from kmr_cli.proof.owners import Clear, Free, MeetError, NoRuleError, Operand, Own, Owner, everywhere, varies
from kmr_cli.proof.primitives import (
    attention,
    contract,
    control,
    factories,
    gather,
    join,
    normalise,
    permute,
    pointwise,
    quantize,
    recurrent,
    reduce,
    reshape,
    scatter,
    sort,
    window,
)
from kmr_cli.proof.sizes import Size, any_of_batch

# -- shapes


def _transpose(call: Call) -> Clear:
    operand = call.needed("self")
    order = call.axes("perm", operand.rank) if call.given("perm") else tuple(reversed(range(operand.rank)))
    return permute.permuted(operand, order)


def _tile(call: Call) -> Clear:
    return reshape.tiled(call.needed("self"), call.sizes("repeats"), call.shape)


def _slice(call: Call) -> Clear:
    operand = call.needed("self")
    starts, axes = call.sizes("starts"), _slice_axes(call, operand)
    steps = call.integers("steps") if call.given("steps") else (1,) * len(starts)
    if not len(starts) == len(axes) == len(steps):
        raise NoRuleError("its starts, axes and steps do not fit together")
    current = operand
    for start, axis, step in zip(starts, axes, steps, strict=True):
        shape = (*current.shape[:axis], call.shape[axis], *current.shape[axis + 1 :])
        owner = _backwards(current, axis) if step < 0 else join.sliced(current, axis, start, step, shape, call.batch)
        current = Operand(owner, shape)
    return current.owner


def _slice_axes(call: Call, operand: Operand) -> tuple[int, ...]:
    return call.axes("axes", operand.rank) if call.given("axes") else tuple(range(len(call.sizes("starts"))))


def _backwards(operand: Operand, axis: int) -> Clear:
    if isinstance(operand.owner, Own):
        if operand.owner.axis == axis:
            raise NoRuleError("it turns the order of the samples around")
        return operand.owner
    return Free(operand.owner.uniform, count=operand.owner.count or any_of_batch((operand.shape[axis],)))


def _split(call: Call) -> tuple[Clear, ...]:
    operand = call.needed("self")
    axis = call.axis("axis", operand.rank, 0)
    lengths: list[Size] = []
    for shape in call.shapes:
        if shape is None:
            raise NoRuleError("the file does not tell how long the parts are")
        lengths.append(shape[axis])
    return join.cut(operand, axis, lengths, call.batch)


def _concat(call: Call) -> Clear:
    return join.concatenated(call.operands(), call.axis("axis", len(call.shape)))


def _pad(call: Call) -> Clear:
    operand = call.needed("self")
    pads = call.sizes("pads")
    axes = call.axes("axes", operand.rank) if call.given("axes") else tuple(range(operand.rank))
    if len(pads) != 2 * len(axes):
        raise NoRuleError("it pads more axes than there are")
    before: list[Size] = [0] * operand.rank
    after: list[Size] = [0] * operand.rank
    for place, axis in enumerate(axes):
        before[axis], after[axis] = pads[place], pads[place + len(axes)]
    value = call.operand("value")
    found = join.padded(operand, before, after)
    return (
        found if value is None else pointwise.joined([Operand(found, call.shape), Operand(value.owner, ())], call.shape)
    )


# -- reductions, and what meets along an axis


def _reduce(call: Call) -> Clear:
    operand = call.needed("self")
    axes = call.axes("axes", operand.rank) if call.given("axes") else ()
    if not axes:
        if call.flag("noop_with_empty_axes"):
            return operand.owner
        axes = tuple(range(operand.rank))
    return reduce.reduced(operand, axes, keep=call.flag("keepdims", default=True), what=call.kind)


def _arg(call: Call) -> Clear:
    operand = call.needed("self", "input_0")
    axes = (call.axis("axis", operand.rank, 0),)
    return reduce.reduced(operand, axes, keep=call.flag("keepdims", default=True), what=call.kind)


def _softmax(call: Call) -> Clear:
    operand = call.needed("input_0")
    coerced = call.flag("coerced")  # all axes from this one on together, as it was once
    axis = call.axis("axis", operand.rank, 1 if coerced else -1)
    return reduce.along(operand, range(axis, operand.rank) if coerced else (axis,), what=call.kind)


def _over_axis(default: int) -> Rule:
    def rule(call: Call) -> tuple[Clear, ...]:
        operand = call.needed("self", "input_0")
        axes = (call.axis("axis", operand.rank, default),)
        return (reduce.along(operand, axes, what=call.kind),) * len(call.operator.outputs)

    return rule


def _top_k(call: Call) -> tuple[Clear, ...]:
    operand = call.needed("self")
    axis = call.axis("axis", operand.rank, -1)
    return (reduce.along(operand, (axis,), what=call.kind),) * len(call.operator.outputs)


# -- products and layers


def _matmul(call: Call) -> Clear:
    """With zero points, which must not depend on samples."""
    for name in ("zero_1", "zero_2", "scale", "zero", "scale_b", "zero_b", "scale_y", "zero_y"):
        one = call.operand(name)
        if one is not None and isinstance(one.owner, Own):
            raise MeetError("a scale or zero point that depends on samples")
    return contract.multiplied(call.needed("self"), call.needed("other"), what=call.kind)


def _gemm(call: Call) -> Clear:
    left, right = call.needed("mat1"), call.needed("mat2")
    if left.rank != 2 or right.rank != 2:
        raise NoRuleError("its operands are no matrices")
    one = ["sum", "row"] if call.flag("transA") else ["row", "sum"]
    other = ["column", "sum"] if call.flag("transB") else ["sum", "column"]
    found = contract.contracted([(left, one), (right, other)], ["row", "column"], what=call.kind)
    bias = call.operand("self")
    return found if bias is None else pointwise.joined([Operand(found, call.shape), bias], call.shape)


def _einsum(call: Call) -> Clear:
    return contract.by_equation(call.text("equation"), call.operands(), len(call.shape))


def _convolution(call: Call) -> Clear:
    others = [one for name in ("weight", "bias", "offset", "mask", "scale", "zero", "scale_w", "zero_w", "scale_y",
                               "zero_y", "zero_1", "zero_2") if (one := call.operand(name)) is not None]  # fmt: skip
    operand = call.needed("input")
    weight = call.needed("weight")
    if operand.rank != weight.rank:
        raise NoRuleError("it runs without a batch axis")
    return window.convolved(operand, others, what=call.kind)


def _batch_norm(call: Call) -> tuple[Clear, ...]:
    names = ("weight", "bias", "running_mean", "running_var")
    others = [one for name in names if (one := call.operand(name)) is not None]
    training = call.flag("training_mode")
    found = normalise.by_channel(call, call.needed("input"), others, training=training)
    return (found, *((Free(),) * (len(call.operator.outputs) - 1)))


def _layer_norm(call: Call) -> tuple[Clear, ...]:
    operand = call.needed("input")
    axis = call.axis("axis", operand.rank, -1)
    skip = call.operand("skip")
    if skip is not None:
        operand = Operand(pointwise.joined([operand, skip], operand.shape), operand.shape)
    return normalise.over_last(call, operand, operand.rank - axis)


def _dropout(call: Call) -> Owner | tuple[Owner, ...]:
    if call.given("training_mode") and not _is_false(call):
        return (factories.drawn(call),) * len(call.operator.outputs)
    found = call.needed("self").owner
    return (found, *((everywhere(len(call.shape)),) * (len(call.operator.outputs) - 1)))


def _is_false(call: Call) -> bool:
    return any(name == "training_mode" and one in (0, False) for name, one in call.operator.arguments)


def _recurrent(call: Call) -> tuple[Owner, ...]:
    operand = call.needed("input")
    if call.flag("layout"):
        raise NoRuleError("samples first, a layout that exporters do not write")
    lengths = call.operand("lengths")
    found, state = recurrent.carried(
        call, operand, 1, call.operands("hx"), call.operands("params"), state_axis=1
    )  # fmt: skip
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


def _attention(call: Call) -> tuple[Owner, ...]:
    query, key, value = (call.needed(name) for name in ("query", "key", "value"))
    if query.rank != 4 or call.given("past_key") or call.given("past_value") or call.given("is_causal_cache"):
        raise NoRuleError("a form of attention without heads of its own")
    return (attention.attended(query, key, value, call.operand("attn_mask")),)


# -- indices


def _gather(call: Call) -> Clear:
    operand = call.needed("self")
    axis = call.axis("axis", operand.rank, 0)
    index = call.needed("index")
    if isinstance(operand.owner, Own) and operand.owner.axis == axis and not index.rank:
        if isinstance(call.batch, int):
            raise NoRuleError("it takes single samples")
        raise MeetError(f"it takes one place of axis {axis}, which carries the samples, for all")
    return gather.picked(operand, axis, index)


def _gather_elements(call: Call) -> Clear:
    operand = call.needed("self")
    return gather.elements(operand, call.axis("axis", operand.rank, 0), call.needed("index"), call.shape)


def _scatter_elements(call: Call) -> Clear:
    operand = call.needed("self")
    axis = call.axis("axis", operand.rank, 0)
    adds = call.text("reduction", "none") != "none"
    return scatter.scattered(operand, axis, call.needed("index"), call.needed("src"), adds=adds, call=call)


def _reverse_sequence(call: Call) -> Clear:
    """The first steps of each sample backwards, as many as it has."""
    operand, lengths = call.needed("self"), call.needed("lengths")
    batch, steps = call.axis("batch_axis", operand.rank, 1), call.axis("time_axis", operand.rank, 0)
    owner = operand.owner
    if isinstance(owner, Own) and owner.axis == steps:
        raise NoRuleError("it turns the order of the samples around")
    if isinstance(lengths.owner, Own) and isinstance(owner, Own) and owner.axis != batch:
        raise MeetError("it goes by the lengths of other samples")
    along = Operand(lengths.owner, (*lengths.shape, *((1,) * (operand.rank - 1 - batch))))
    return pointwise.joined([operand, along], operand.shape)


def _rows(call: Call) -> tuple[Clear, ...]:
    """A model of scikit-learn: every row on its own."""
    operand = call.needed("input_0")
    if not isinstance(operand.owner, Own):
        return (generic_free(call),) * len(call.operator.outputs)
    if operand.rank != 2 or operand.owner.axis != 0:
        raise MeetError(f"{call.kind} runs over the axis that carries the samples")
    return (operand.owner,) * len(call.operator.outputs)


def _one_hot(call: Call) -> Clear:
    operand = call.needed("self")
    if call.given("depth") and call.operand("depth") is None:
        axis = call.axis("axis", operand.rank + 1, -1)
        owner = operand.owner
        if isinstance(owner, Own):
            return replace(owner, axis=owner.axis + (axis <= owner.axis))
        return Free(count=owner.count)
    raise NoRuleError("how many classes there are is computed")


# -- what comes from nothing


def known(call: Call) -> Free:
    """Numbers that shape arithmetic tells; the engine sees whether the number of samples is in them."""
    numbers = call.sizes("value")
    same = len(set(numbers)) == 1
    counting = len(numbers) > 1 and list(numbers) == list(range(len(numbers)))
    rank = len(call.shape)
    return Free(frozenset(range(rank)) if same else frozenset(), 0 if counting and rank == 1 else None)


def _constant(call: Call) -> Free:
    shape = call.shapes[0]
    return everywhere(0) if shape == () else Free()


def _range(call: Call) -> Free:
    starts_at_zero = call.given("start") and call.operand("start") is None and call.size("start") == 0
    by_one = call.operand("delta") is None and call.size("delta", 1) == 1
    if starts_at_zero and by_one:
        return Free(index=0)
    return Free(count=any_of_batch(call.shape))


def _shape_of(call: Call) -> Owner:
    """How large a tensor is, where that is not known as numbers."""
    return Free(count=any_of_batch(call.needed_shape("self")))


def _resize(call: Call) -> Clear:
    """Space in another resolution; samples stay where their axis keeps its length."""
    operand = call.needed("self")
    if not isinstance(operand.owner, Own):
        return generic_free(call)
    changed = [axis for axis in range(operand.rank) if call.shape[axis] != operand.shape[axis]]
    if (
        operand.owner.axis != 0
        or 0 in changed
        or any(isinstance(one.owner, Own) for one in call.operands("roi", "sizes", "scales"))
    ):
        raise NoRuleError("it resizes more than space")
    return operand.owner


def _clip(call: Call) -> Clear:
    operands = call.operands()
    single = [Operand(one.owner, ()) for one in operands[1:]]
    if any(isinstance(one.owner, Own) for one in single):
        raise MeetError("bounds that depend on samples")
    return pointwise.joined([operands[0], *single], call.shape)


def _quantized(call: Call) -> Clear:
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


def _chosen(call: Call) -> tuple[Owner, ...]:
    """``DynamicQuantizeLinear``: the scale, and with it every number, comes from all samples together."""
    quantize.chosen(call)
    return (generic_free(call),) * len(call.operator.outputs)


def _words(text: str) -> Sequence[str]:
    return text.split()


_POINTWISE = """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BiasGelu BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Ceil Celu
    Cos Cosh Div Elu Equal Erf Exp FastGelu Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish IsInf IsNaN
    LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow QuickGelu Reciprocal Relu Round Selu
    Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor
"""
_REDUCE = """
    ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare
"""
_ON_BATCH = """
    MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool DepthToSpace SpaceToDepth LRN GridSample
"""
_DRAWN = "RandomNormal RandomUniform RandomNormalLike RandomUniformLike Bernoulli Multinomial"
_RULES: dict[str, Rule] = {
    **dict.fromkeys(_words(_POINTWISE), pointwise.every),
    **dict.fromkeys(_words(_REDUCE), _reduce),
    **dict.fromkeys(_words(_ON_BATCH), window.on_batch()),
    **dict.fromkeys(_words(_DRAWN), factories.drawn),
    **dict.fromkeys(("Identity", "Cast"), pointwise.every),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), reshape.reshape()),
    **dict.fromkeys(("ArgMax", "ArgMin"), _arg),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), _softmax),
    **dict.fromkeys(("MatMul", "MatMulInteger", "QLinearMatMul"), _matmul),
    **dict.fromkeys(("Conv", "ConvTranspose", "ConvInteger", "QLinearConv"), _convolution),
    **dict.fromkeys(("LayerNormalization", "SimplifiedLayerNormalization", "RMSNormalization"), _layer_norm),
    **dict.fromkeys(("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"), _layer_norm),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), _quantized),
    **dict.fromkeys(("NonZero", "Unique", "Compress", "NonMaxSuppression"), sort.by_content),
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    **dict.fromkeys(("Shape", "Size"), _shape_of),
    "Attention": _attention,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": pointwise.like,
    "CumSum": _over_axis(0),
    "Dropout": _dropout,
    "DynamicQuantizeLinear": _chosen,
    "Einsum": _einsum,
    "Expand": reshape.expand,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "Gemm": _gemm,
    "If": control.capturing_branch,
    "Loop": control.counted_loop,
    "InstanceNormalization": normalise.instance_norm,
    "GroupNormalization": normalise.group_norm,
    "Known": known,
    "LpNormalization": _over_axis(-1),
    "OneHot": _one_hot,
    "Pad": _pad,
    "Range": _range,
    "ReverseSequence": _reverse_sequence,
    "ScatterElements": _scatter_elements,
    "Slice": _slice,
    "Split": _split,
    "Tile": _tile,
    "TopK": _top_k,
    "Transpose": _transpose,
    "Trilu": join.triangle,
}
_OF_ROWS = """
    Binarizer Imputer LinearClassifier LinearRegressor Normalizer SVMClassifier SVMRegressor Scaler
    TreeEnsembleClassifier TreeEnsembleRegressor
"""
_ML = dict.fromkeys(_words(_OF_ROWS), Entry(_rows))
_MICROSOFT = frozenset(
    _words("BiasGelu FastGelu Gelu QuickGelu SkipLayerNormalization SkipSimplifiedLayerNormalization")
)
"""Of onnxruntime's own operators those that mean what their names say here."""
_BLIND = frozenset({"Shape", "Size"})


@lru_cache(maxsize=1024)
def lookup(kind: str) -> Entry | None:
    """What is known of ``onnx.Relu``; None for an operator without a rule, and for domains of others."""
    domain, _, name = kind.rpartition(".")
    if domain == "ai.onnx.ml":
        return _ML.get(name)
    known = domain == "onnx" or (domain == "com.microsoft" and name in _MICROSOFT)
    if name not in _RULES or not known:
        return None
    return Entry(_RULES[name], blind=frozenset({"self"}) if name in _BLIND else frozenset())
