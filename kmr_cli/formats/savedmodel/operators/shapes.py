"""Shapes of what operations make, from those of what they take: symbolically, by one small rule per operation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kmr_cli.formats.savedmodel.operators.layer_shapes import LAYER_RULES
from kmr_cli.formats.savedmodel.operators.move_shapes import MOVES
from kmr_cli.formats.savedmodel.operators.use import Use, front, spread
from kmr_cli.proof.sizes import (
    Shape,
    Size,
    UndecidedError,
    UntoldError,
)
from kmr_cli.proof.vocabularies.tensorflow_names import (
    ALONG,
    KEPT,
    LAST_ONE,
    LAST_THREE,
    LAST_TWO,
    POINTWISE,
    REDUCE,
)

Shapes = Sequence["Shape | None"]


def inferred(use: Use, results: int) -> Iterator[Shape | None]:
    """The shapes of so many results; None for what is not known. What the file tells of single axes is used as well."""
    rule = _RULES.get(use.op)
    shapes: Shapes = ()
    if rule is not None:
        try:
            shapes = rule(use)
        except (UntoldError, UndecidedError, ArithmeticError, LookupError, TypeError, ValueError):
            shapes = ()
    for place in range(results):
        found = shapes[place] if place < len(shapes) else None
        yield _with_what_is_declared(found, use.declared[place] if place < len(use.declared) else None)


def _with_what_is_declared(found: Shape | None, declared: tuple[int | None, ...] | None) -> Shape | None:
    if declared is None:
        return found
    if found is None:  # a size that is left open may be the number of samples, or anything
        fixed = tuple(size for size in declared if size is not None)
        return fixed if len(fixed) == len(declared) else None
    if len(found) != len(declared):
        return None
    return tuple(size if told is None else told for size, told in zip(found, declared, strict=True))


def _same(use: Use) -> Shapes:
    return (use.shape(0),) * 8


def _each(use: Use) -> Shapes:
    return tuple(use.shapes)


def _broadcast(use: Use) -> Shapes:
    return (spread(use.shapes, use),)


def _selected(use: Use) -> Shapes:
    return (use.shape(1),)


def _reduce(use: Use) -> Shapes:
    before = use.shape(0)
    axes = {front(axis, len(before)) for axis in use.fixed(1)}
    if use.integer("keep_dims"):
        return (tuple(1 if axis in axes else size for axis, size in enumerate(before)),)
    return (tuple(size for axis, size in enumerate(before) if axis not in axes),)


def _arg(use: Use) -> Shapes:
    before = use.shape(0)
    axis = use.axis(1, len(before))
    return ((*before[:axis], *before[axis + 1 :]),)


def _matmul(use: Use) -> Shapes:
    left, right = use.shape(0), use.shape(1)
    rows = left[1] if use.integer("transpose_a") else left[0]
    return ((rows, right[0] if use.integer("transpose_b") else right[1]),)


def _batch_matmul(use: Use) -> Shapes:
    left, right = use.shape(0), use.shape(1)
    rows = left[-1] if use.integer("adj_x") else left[-2]
    columns = right[-2] if use.integer("adj_y") else right[-1]
    lead = spread([(*left[:-2], 1, 1), (*right[:-2], 1, 1)], use)[:-2]
    return ((*lead, rows, columns),)


def _einsum(use: Use) -> Shapes:
    left, _, right = use.text("equation").replace(" ", "").partition("->")
    sizes: dict[str, Size] = {}
    lead: Shape = ()
    for term, shape in zip(left.split(","), use.shapes, strict=True):
        before, dots, after = term.partition("...")
        count = len(shape) - len(before) - len(after)
        if count < 0 or (count and not dots):
            raise UntoldError
        lead = spread([lead, shape[len(before) : len(before) + count]], use) if dots else lead
        for letter, size in (*zip(before, shape, strict=False), *zip(after, shape[len(shape) - len(after) :],
                                                                     strict=True)):  # fmt: skip
            if sizes.get(letter, 1) == 1:
                sizes[letter] = size
    before, dots, after = right.partition("...")
    return ((*(sizes[one] for one in before), *(lead if dots else ()), *(sizes[one] for one in after)),)


def _top_k(use: Use) -> Shapes:
    before = use.shape(0)
    k = use.number(1) if len(use.inputs) > 1 else use.integer("k")
    return ((*before[:-1], k),) * 2


def _by_rows(use: Use) -> Shapes:
    """A loss for every row, and its gradient."""
    return (use.shape(0)[:-1], use.shape(0))


def _of_sizes(use: Use) -> Shapes:
    return tuple((len(use.shape(place)),) for place in range(len(use.inputs)))


def _scalar(use: Use) -> Shapes:
    return ((),) if use.op else ()


def _counts(use: Use) -> Shapes:
    return ((*use.shape(0)[:-1], use.number(1)),)


def _searched(use: Use) -> Shapes:
    return (use.shape(1),)


def _rfft(use: Use) -> Shapes:
    before, (length,) = use.shape(0), use.fixed(1)
    return ((*before[:-1], length // 2 + 1),)


def _irfft(use: Use) -> Shapes:
    before, lengths_ = use.shape(0), use.fixed(1)
    return ((*before[: -len(lengths_)], *lengths_),)


def _rfft2d(use: Use) -> Shapes:
    before, (high, wide) = use.shape(0), use.fixed(1)
    return ((*before[:-2], high, wide // 2 + 1),)


_RULES = {
    **dict.fromkeys(POINTWISE, _broadcast),
    **dict.fromkeys((*ALONG, *KEPT, *LAST_ONE, *LAST_TWO, *LAST_THREE), _same),
    **dict.fromkeys(REDUCE, _reduce),
    **dict.fromkeys(("ArgMax", "ArgMin"), _arg),
    **dict.fromkeys(("Shape", "ShapeN"), _of_sizes),
    **dict.fromkeys(("Size", "Rank", "L2Loss", "LookupTableSizeV2"), _scalar),
    **dict.fromkeys(("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), _batch_matmul),
    **dict.fromkeys(("TopK", "TopKV2"), _top_k),
    **dict.fromkeys(("SoftmaxCrossEntropyWithLogits", "SparseSoftmaxCrossEntropyWithLogits"), _by_rows),
    **dict.fromkeys(("LowerBound", "UpperBound", "LookupTableFindV2", "LookupTableFind"), _searched),
    **dict.fromkeys(("ReadVariableOp", "VariableV2", "Variable"), _same),
    **LAYER_RULES,
    **MOVES,
    "IdentityN": _each,
    "DenseBincount": _counts,
    "Select": _selected,
    "MatMul": _matmul,
    "Einsum": _einsum,
    "RFFT": _rfft,
    "IRFFT": _irfft,
    "IRFFT2D": _irfft,
    "RFFT2D": _rfft2d,
}
