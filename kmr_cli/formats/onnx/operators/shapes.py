"""Shapes of what operators make, from those of what they take: symbolically, by one small rule per operator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kmr_cli.formats.onnx.describe import types
from kmr_cli.formats.onnx.describe.flow import Node
from kmr_cli.formats.onnx.operators.known import Known
from kmr_cli.formats.onnx.operators.layer_shapes import LAYER_RULES
from kmr_cli.formats.onnx.operators.use import Results, Rule, Use, spread
from kmr_cli.proof.graph import Argument
from kmr_cli.proof.sizes import (
    Range,
    Shape,
    Size,
    UndecidedError,
    UntoldError,
    at_least,
    filled,
    floor_quotient,
    larger,
    product,
    quotient,
    smaller,
    squeezed,
)

_DOMAINS = frozenset({"", "ai.onnx.ml", "com.microsoft"})


def inferred(
    node: Node, attributes: Mapping[str, Argument], known: Known
) -> Iterator[tuple[str, Shape | None, str | None]]:
    """Name, shape and dtype of everything that a node makes; None for what is not known."""
    use = Use(node, attributes, known)
    rule = _RULES.get(node.op) if node.domain in _DOMAINS else None
    shapes: Results = ()
    if rule is not None:
        try:
            shapes = rule(use)
        except (UntoldError, UndecidedError, ArithmeticError, LookupError, TypeError, ValueError):
            shapes = ()
    for place, name in enumerate(node.outputs):
        if name:
            yield name, shapes[place] if place < len(shapes) else None, _dtype(use)


def _dtype(use: Use) -> str | None:
    if use.node.op in _TO_BOOL:
        return "bool"
    if use.node.op == "Cast":
        return types.dtype_name(use.integer("to", 0))
    if use.node.op in _KEEPS_DTYPE and use.has(0):
        return use.known.dtypes.get(use.node.message.input[0])
    return None


_TO_BOOL = {
    *("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Xor", "Not", "IsNaN", "IsInf"),
    "RegexFullMatch",
}
_KEEPS_DTYPE = frozenset(
    [
        "Identity",
        "Reshape",
        "Transpose",
        "Slice",
        "Squeeze",
        "Unsqueeze",
        "Expand",
        "Gather",
        "Concat",
        "Flatten",
        "Tile",
    ]
)


def _same(use: Use) -> Results:
    return (use.shape(0),) * len(use.node.outputs)


def _broadcast(use: Use) -> Results:
    places = [place for place in range(len(use.node.message.input)) if use.has(place)]
    return (spread([use.shape(place) for place in places]),)


def _reshape(use: Use) -> Results:
    before = use.shape(0)
    wanted = use.numbers(1, "shape")
    if wanted is None:
        raise UntoldError
    keep_zero = use.integer("allowzero", 0)
    shape = [before[place] if one == 0 and not keep_zero else one for place, one in enumerate(wanted)]
    return (_told(filled(shape, before)),)


def _told(shape: Shape | None) -> Shape:
    if shape is None:
        raise UntoldError
    return shape


def _flatten(use: Use) -> Results:
    before = use.shape(0)
    axis = use.integer("axis", 1)
    axis = axis + len(before) if axis < 0 else axis
    return ((product(before[:axis]), product(before[axis:])),)


def _squeeze(use: Use) -> Results:
    before, axes = use.shape(0), use.fixed(1, "axes")
    if axes is None:
        return (_told(squeezed(before)),)
    gone = {axis % len(before) for axis in axes}
    return (tuple(size for axis, size in enumerate(before) if axis not in gone),)


def _unsqueeze(use: Use) -> Results:
    before, axes = use.shape(0), use.fixed(1, "axes")
    if axes is None:
        raise UntoldError
    rank = len(before) + len(axes)
    new, rest = {axis % rank for axis in axes}, iter(before)
    return (tuple(1 if axis in new else next(rest) for axis in range(rank)),)


def _transpose(use: Use) -> Results:
    before = use.shape(0)
    order = use.integers("perm") or tuple(reversed(range(len(before))))
    return (tuple(before[axis] for axis in order),)


def _reduce(use: Use) -> Results:
    before, axes = use.shape(0), use.fixed(1, "axes")
    if not axes:
        axes = () if use.integer("noop_with_empty_axes", 0) else tuple(range(len(before)))
    return (_without(before, {axis % len(before) for axis in axes}, keep=use.integer("keepdims", 1)),)


def _without(shape: Shape, axes: set[int], *, keep: int) -> Shape:
    if keep:
        return tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)


def _arg(use: Use) -> Results:
    before = use.shape(0)
    return (_without(before, {use.integer("axis", 0) % len(before)}, keep=use.integer("keepdims", 1)),)


def _matmul(use: Use, one: int = 0, other: int = 1) -> Results:
    left, right = use.shape(one), use.shape(other)
    if len(left) < 2 or len(right) < 2:
        lead = left[:-2] if len(right) < 2 else right[:-2]
        return ((*lead, *left[-2:-1], *(right[-1:] if len(right) > 1 else ())),)
    return ((*spread([left[:-2], right[:-2]]), left[-2], right[-1]),) if len(left) + len(right) > 4 \
        else ((left[-2], right[-1]),)  # fmt: skip


def _qlinear_matmul(use: Use) -> Results:
    return _matmul(use, 0, 3)


def _gemm(use: Use) -> Results:
    left, right = use.shape(0), use.shape(1)
    return ((left[1] if use.integer("transA", 0) else left[0], right[0] if use.integer("transB", 0) else right[1]),)


def _concat(use: Use) -> Results:
    shapes = [use.shape(place) for place in range(len(use.node.message.input))]
    axis = use.integer("axis", 0) % len(shapes[0])
    total: Size = 0
    for shape in shapes:
        total = total + shape[axis]
    first = shapes[0]
    if any(shape[:axis] + shape[axis + 1 :] != first[:axis] + first[axis + 1 :] for shape in shapes):
        raise UntoldError
    return ((*first[:axis], total, *first[axis + 1 :]),)


def _split(use: Use) -> Results:
    before = use.shape(0)
    axis = use.integer("axis", 0) % len(before)
    lengths = use.numbers(1, "split")
    if lengths is None:
        parts = use.integer("num_outputs", len(use.node.outputs))
        each = quotient(before[axis], parts)
        if each is None:
            raise UntoldError
        lengths = (each,) * parts
    return [(*before[:axis], length, *before[axis + 1 :]) for length in lengths]


def _slice(use: Use) -> Results:
    shape = list(use.shape(0))
    starts, ends = use.numbers(1, "starts"), use.numbers(2, "ends")
    if starts is None or ends is None:
        raise UntoldError
    axes = use.fixed(3, "axes") or tuple(range(len(starts)))
    steps = use.fixed(4, "steps") or (1,) * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        shape[axis % len(shape)] = stretch(shape[axis % len(shape)], start, end, step, use.known.ranges)
    return (tuple(shape),)


_END = 1 << 30
"""What exporters write for "up to the end" is at least this."""


def stretch(length: Size, start: Size, end: Size, step: int, ranges: Mapping[str, Range]) -> Size:
    """How many places ``[start:end:step]`` takes of an axis."""
    if step < 0:
        if isinstance(length, int) and isinstance(start, int) and isinstance(end, int):
            last = None if end < -length else end
            return len(range(length)[slice(start, last, step)])
        whole = step == -1 and start in (-1, length - 1, *_far(start)) and isinstance(end, int) and end <= -_END
        if whole:
            return length
        raise UntoldError
    begin = _place(length, start, ranges)
    stop = length if isinstance(end, int) and end >= _END else _place(length, end, ranges)
    if at_least(begin, stop, ranges) and begin != stop:
        return 0
    return stop - begin if step == 1 else floor_quotient(stop - begin + (step - 1), step)


def _far(start: Size) -> tuple[Size, ...]:
    return (start,) if isinstance(start, int) and start >= _END else ()


def _place(length: Size, place: Size, ranges: Mapping[str, Range]) -> Size:
    """A place counted from the front, and cut off at the end; below 0 it is counted from the end."""
    negative = isinstance(place, int) and place < 0
    found = length + place if negative else place
    if isinstance(length, int) and isinstance(found, int):
        return min(max(found, 0), length)
    return larger(found, 0, ranges) if negative else smaller(found, length, ranges)


def _gather(use: Use) -> Results:
    before, index = use.shape(0), use.shape(1)
    axis = use.integer("axis", 0) % len(before)
    return ((*before[:axis], *index, *before[axis + 1 :]),)


def _gather_elements(use: Use) -> Results:
    return (use.shape(1),)


def _gather_nd(use: Use) -> Results:
    before, index = use.shape(0), use.shape(1)
    batch, depth = use.integer("batch_dims", 0), index[-1]
    if not isinstance(depth, int):
        raise UntoldError
    return ((*index[:-1], *before[batch + depth :]),)


def _expand(use: Use) -> Results:
    wanted = use.numbers(1)
    if wanted is None:
        raise UntoldError
    return (spread([use.shape(0), wanted]),)


def _tile(use: Use) -> Results:
    repeats = use.numbers(1)
    if repeats is None:
        raise UntoldError
    return (tuple(size * times for size, times in zip(use.shape(0), repeats, strict=True)),)


def _pad(use: Use) -> Results:
    before, pads = use.shape(0), use.numbers(1, "pads")
    if pads is None:
        raise UntoldError
    axes = use.fixed(3) or tuple(range(len(before)))
    shape = list(before)
    for place, axis in enumerate(axes):
        shape[axis % len(before)] = before[axis] + pads[place] + pads[place + len(axes)]
    return (tuple(shape),)


def _top_k(use: Use) -> Results:
    before, count = use.shape(0), use.numbers(1)
    axis = use.integer("axis", -1) % len(before)
    kept = count[0] if count else use.integer("k", 1)
    return ((*before[:axis], kept, *before[axis + 1 :]),) * 2


def _one_hot(use: Use) -> Results:
    before, depth = use.shape(0), use.numbers(1)
    axis = use.integer("axis", -1) % (len(before) + 1)
    return ((*before[:axis], depth[0] if depth else 1, *before[axis:]),)


def _range(use: Use) -> Results:
    start, limit, step = (use.numbers(place) for place in range(3))
    if not start or not limit or not step or step[0] != 1:
        raise UntoldError
    return ((limit[0] - start[0],),)


def _constant_of_shape(use: Use) -> Results:
    wanted = use.numbers(0)
    if wanted is None:
        raise UntoldError
    return (tuple(wanted),)


def _constant(use: Use) -> Results:
    tensor = use.node.attribute("value")
    if tensor is not None and tensor.HasField("t"):
        return (tuple(tensor.t.dims),)
    single = any(name in use.attributes for name in ("value_float", "value_int", "value_string"))
    return ((),) if single else (None,)


def _shape(use: Use) -> Results:
    return ((len(use.shape(0)),),)


def _einsum(use: Use) -> Results:
    equation = use.attributes.get("equation")
    if not isinstance(equation, str) or "->" not in equation or "." in equation:
        raise UntoldError
    left, right = equation.replace(" ", "").split("->")
    sizes = {
        letter: size
        for place, term in enumerate(left.split(","))
        for letter, size in zip(term, use.shape(place), strict=True)
    }
    return (tuple(sizes[letter] for letter in right),)


def _text(use: Use) -> Results:
    if "stopwords" in use.attributes:
        raise UntoldError
    return (use.shape(0),)


def _words(text: str) -> list[str]:
    return text.split()


_RULES: dict[str, Rule] = {
    **LAYER_RULES,
    **dict.fromkeys(_words("""
        Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Cast CastLike Ceil Celu Clip Cos Cosh CumSum DequantizeLinear
        Elu Erf Exp FastGelu Floor Gelu HardSigmoid HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN LRN
        LeakyRelu Log LogSoftmax LpNormalization MeanVarianceNormalization Mish Neg Not QuantizeLinear QuickGelu
        RandomNormalLike RandomUniformLike Reciprocal Relu ReverseSequence Round ScatterElements ScatterND Scatter Selu
        Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu Trilu EyeLike
        GroupNormalization SimplifiedLayerNormalization RMSNormalization Dropout Bernoulli RegexFullMatch
    """), _same),
    **dict.fromkeys(_words("""
        Add And BiasGelu BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max
        Mean Min Mod Mul Or PRelu Pow StringConcat Sub Sum Where Xor
    """), _broadcast),
    **dict.fromkeys(_words("""
        ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
        ReduceSumSquare
    """), _reduce),
    **dict.fromkeys(("ArgMax", "ArgMin"), _arg),
    **dict.fromkeys(("MatMul", "MatMulInteger", "FusedMatMul"), _matmul),
    **dict.fromkeys(("Scaler", "Normalizer", "Imputer", "Binarizer", "LabelEncoder", "CategoryMapper"), _same),
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Einsum": _einsum,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Gemm": _gemm,
    "OneHot": _one_hot,
    "Pad": _pad,
    "QLinearMatMul": _qlinear_matmul,
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "StringNormalizer": _text,
    "Tile": _tile,
    "TopK": _top_k,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}  # fmt: skip
