"""Shapes of what moves, joins, cuts and picks elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kmr_cli.formats.savedmodel.describe import dtypes
from kmr_cli.formats.savedmodel.operators.use import Use, front
from kmr_cli.proof.primitives.cuts import Cuts, lengths
from kmr_cli.proof.sizes import (
    Shape,
    Size,
    UntoldError,
    any_of_batch,
    at_least,
    filled,
    floor_quotient,
    larger,
    quotient,
    squeezed,
)

Shapes = Sequence["Shape | None"]


_WIDTHS = {"int32": 4, "uint32": 4, "float32": 4, "int64": 8, "uint64": 8, "float64": 8, "int16": 2, "uint16": 2}
_WIDTHS |= {"float16": 2, "bfloat16": 2, "int8": 1, "uint8": 1}


def _bits(use: Use) -> Shapes:
    """``Bitcast`` between dtypes of one width."""
    widths = [_WIDTHS.get(dtypes.name(use.integer(key)) or "") for key in ("T", "type")]
    if widths[0] is None or widths[0] != widths[1]:
        raise UntoldError
    return (use.shape(0),)


def _reshape(use: Use) -> Shapes:
    return (_told(filled(use.numbers(1), use.shape(0))),)


def _told(shape: Shape | None) -> Shape:
    if shape is None:
        raise UntoldError
    return shape


def _squeeze(use: Use) -> Shapes:
    before = use.shape(0)
    gone = {front(axis, len(before)) for axis in use.integers("squeeze_dims")}
    if not gone:
        return (_told(squeezed(before)),)
    return (tuple(size for axis, size in enumerate(before) if axis not in gone),)


def _expand_dims(use: Use) -> Shapes:
    before = use.shape(0)
    axis = use.axis(1, len(before) + 1)
    return ((*before[:axis], 1, *before[axis:]),)


def _transpose(use: Use) -> Shapes:
    before = use.shape(0)
    return (tuple(before[axis] for axis in use.fixed(1)),)


def _pack(use: Use) -> Shapes:
    first, *others = use.shapes
    for other in others:
        if other != first:
            raise UntoldError
    axis = front(use.integer("axis"), len(first) + 1)
    return ((*first[:axis], len(use.inputs), *first[axis:]),)


def _unpack(use: Use) -> Shapes:
    before = use.shape(0)
    axis = front(use.integer("axis"), len(before))
    return ((*before[:axis], *before[axis + 1 :]),) * use.integer("num")


def _concat(use: Use) -> Shapes:
    shapes = use.shapes[:-1]
    return (_joined(shapes, use.axis(len(use.inputs) - 1, len(shapes[0])), use),)


def _old_concat(use: Use) -> Shapes:
    shapes = use.shapes[1:]
    return (_joined(shapes, use.axis(0, len(shapes[0])), use),)


def _joined(shapes: Sequence[Shape], axis: int, use: Use) -> Shape:
    first, total = list(shapes[0]), shapes[0][axis]
    for shape in shapes[1:]:
        total = total + shape[axis]
        for place, (one, other) in enumerate(zip(first, shape, strict=True)):
            if place != axis and one != other:
                settled = use.settled(0, place)
                if settled is None:
                    raise UntoldError
                first[place] = settled
    return (*first[:axis], total, *first[axis + 1 :])


def _split(use: Use) -> Shapes:
    before, parts = use.shape(1), use.integer("num_split", 1)
    axis = use.axis(0, len(before))
    length = quotient(before[axis], parts)
    if length is None:
        raise UntoldError
    return ((*before[:axis], length, *before[axis + 1 :]),) * parts


def _split_by(use: Use) -> Shapes:
    before, lengths_ = use.shape(0), list(use.numbers(1))
    axis = use.axis(2, len(before))
    if -1 in lengths_:
        rest = before[axis]
        for one in lengths_:
            rest = rest - (0 if one == -1 else one)
        lengths_[lengths_.index(-1)] = rest
    return tuple((*before[:axis], length, *before[axis + 1 :]) for length in lengths_)


def _slice(use: Use) -> Shapes:
    before, starts, sizes = use.shape(0), use.numbers(1), use.numbers(2)
    return (
        tuple(whole - start if size == -1 else size for whole, start, size in zip(before, starts, sizes, strict=True)),
    )


def _strided(use: Use) -> Shapes:
    before = use.shape(0)
    cuts = list(Cuts(use.numbers(1), use.numbers(2), use.fixed(3), use.attributes).of(len(before)))
    after = lengths(cuts, before, use.known.ranges)
    found: list[Size] = []
    for cut in cuts:
        if cut.single:
            continue
        size = 1 if cut.axis is None else after[cut.axis]
        if size is None:
            size = use.settled(0, len(found))
        if size is None:
            raise UntoldError
        found.append(size)
    return (tuple(found),)


def _tile(use: Use) -> Shapes:
    return (tuple(size * times for size, times in zip(use.shape(0), use.numbers(1), strict=True)),)


def _broadcast_to(use: Use) -> Shapes:
    return (use.numbers(1),)


def _filled(use: Use) -> Shapes:
    return (use.numbers(0),)


def _pad(use: Use) -> Shapes:
    before, pairs = use.shape(0), use.numbers(1)
    return (tuple(size + pairs[2 * axis] + pairs[2 * axis + 1] for axis, size in enumerate(before)),)


def _gather(use: Use) -> Shapes:
    table, places = use.shape(0), use.shape(1)
    axis = use.axis(2, len(table)) if len(use.inputs) > 2 else 0
    shared = front(use.integer("batch_dims"), len(places) + 1)
    return ((*table[:axis], *places[shared:], *table[axis + 1 :]),)


def _gather_rows(use: Use) -> Shapes:
    table, places = use.shape(0), use.shape(1)
    shared = front(use.integer("batch_dims"), len(places) + 1)
    return ((*table[: max(shared, 0)], *places[shared:], *table[shared + 1 :]),)


def _gather_nd(use: Use) -> Shapes:
    table, places = use.shape(0), use.shape(1)
    depth = places[-1]
    if not isinstance(depth, int):
        raise UntoldError
    return ((*places[:-1], *table[depth:]),)


def _one_hot(use: Use) -> Shapes:
    before = use.shape(0)
    axis = front(use.integer("axis", -1), len(before) + 1)
    return ((*before[:axis], use.number(1), *before[axis:]),)


def _range(use: Use) -> Shapes:
    start, limit, step = (_number(use, place) for place in range(3))
    if not isinstance(step, int) or step == 0:
        raise UntoldError
    span = limit - start if step > 0 else start - limit
    if not at_least(span, 0, use.known.ranges):
        span = larger(span, 0, use.known.ranges)
    return ((floor_quotient(span + (abs(step) - 1), abs(step)),),)


def _number(use: Use, place: int) -> Size:
    """Held as a whole number, or as a float; then it must not be the number of samples, which may be any."""
    found = use.known.floats.get(use.known.origin(use.inputs[place]))
    if found is None:
        return use.number(place)
    if any_of_batch((found,)):
        raise UntoldError
    return found


def _spaced(use: Use) -> Shapes:
    return ((use.number(2),),)


def _scattered(use: Use) -> Shapes:
    return (use.numbers(2),)


def _segments(use: Use) -> Shapes:
    data, ids = use.shape(0), use.shape(1)
    return ((use.number(2), *data[len(ids) :]),)


def _diagonal(use: Use) -> Shapes:
    before = use.shape(0)
    return ((*before, before[-1]),)


MOVES: dict[str, Callable[[Use], Shapes]] = {
    **dict.fromkeys(("GatherV2", "Gather"), _gather),
    **dict.fromkeys(("ResourceGather", "TableGather"), _gather_rows),
    **dict.fromkeys(("GatherNd", "ResourceGatherNd"), _gather_nd),
    **dict.fromkeys(("Pad", "PadV2", "MirrorPad"), _pad),
    **dict.fromkeys(("RandomUniform", "RandomStandardNormal", "TruncatedNormal", "StatelessRandomUniformV2",
                     "StatelessRandomNormalV2", "Fill", "StatelessRandomUniform", "StatelessRandomNormal",
                     "StatelessTruncatedNormalV2", "StatelessRandomUniformIntV2"), _filled),
    **dict.fromkeys(("UnsortedSegmentSum", "UnsortedSegmentMax", "UnsortedSegmentMin", "UnsortedSegmentProd"),
                    _segments),
    **dict.fromkeys(("MatrixDiag", "Diag"), _diagonal),
    "Bitcast": _bits,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "ExpandDims": _expand_dims,
    "Transpose": _transpose,
    "Pack": _pack,
    "Unpack": _unpack,
    "ConcatV2": _concat,
    "Concat": _old_concat,
    "Split": _split,
    "SplitV": _split_by,
    "Slice": _slice,
    "StridedSlice": _strided,
    "Tile": _tile,
    "BroadcastTo": _broadcast_to,
    "OneHot": _one_hot,
    "Range": _range,
    "LinSpace": _spaced,
    "ScatterNd": _scattered,
}  # fmt: skip
