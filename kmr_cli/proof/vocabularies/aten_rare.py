"""Rules for operators of PyTorch that few models have, each of which takes its arguments in a way of its own."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

from kmr_cli.proof.call import Call, from_front, generic_free
from kmr_cli.proof.owners import Clear, Free, MeetError, NoRuleError, Operand, Own, RoutedError, any_count, counted
from kmr_cli.proof.primitives import join, permute, reshape
from kmr_cli.proof.primitives.contract import contracted
from kmr_cli.proof.primitives.cuts import widened
from kmr_cli.proof.primitives.gather import BY_OTHERS
from kmr_cli.proof.primitives.pointwise import joined
from kmr_cli.proof.primitives.reduce import along
from kmr_cli.proof.sizes import Shape, any_of_batch


def spread_to_each_other(call: Call) -> tuple[Clear, ...]:
    """``broadcast_tensors``: every operand is expanded to the shape of all."""
    made = [shape for shape in call.shapes if shape is not None]
    return tuple(reshape.expanded(one, shape) for one, shape in zip(call.operands("tensors"), made, strict=True))


def mesh(call: Call) -> tuple[Clear, ...]:
    """``meshgrid``: vectors, each along an axis of its own; ``xy`` has the first two axes the other way around."""
    operands = call.operands("tensors")
    order = list(range(len(operands)))
    if call.given("indexing") and call.text("indexing") == "xy" and len(order) > 1:
        order[:2] = [1, 0]
    found = []
    for axis, one, shape in zip(order, operands, call.shapes, strict=True):
        if one.rank > 1 or shape is None:
            raise NoRuleError("its operands aren't vectors")
        whole = one if one.rank else Operand(widened(one.owner, 0), (1,))
        for _ in range(len(order) - 1 - axis):
            whole = Operand(widened(whole.owner, whole.rank), (*whole.shape, 1))
        found.append(reshape.expanded(whole, shape))
    return tuple(found)


def tensordot(call: Call) -> Clear:
    """Products summed over pairs of axes; those that stay are the first operand's, then the other's."""
    left, right = call.needed("self"), call.needed("other")
    mine, theirs = call.axes("dims_self", left.rank), call.axes("dims_other", right.rank)
    pairs = dict(zip(theirs, mine, strict=True))
    one: list[Hashable] = [("left", axis) for axis in range(left.rank)]
    other: list[Hashable] = [("left", pairs[axis]) if axis in pairs else ("right", axis) for axis in range(right.rank)]
    kept = [label for axis, label in enumerate(one) if axis not in mine]
    kept += [label for axis, label in enumerate(other) if axis not in pairs]
    return contracted([(left, one), (right, other)], kept, what="tensordot")


def quarter_turns(call: Call) -> Clear:
    """``rot90``: two axes change places and run backwards."""
    operand = call.needed("self")
    axes = call.axes("dims", operand.rank, (0, 1))
    turns = call.integer("k", 1) % 4
    if not turns:
        return operand.owner
    moved = Operand(join.moved_along(operand, axes, "it reverses the order of the samples"), operand.shape)
    if isinstance(moved.owner, Free):
        moved = Operand(Free(moved.owner.uniform - set(axes), count=moved.owner.count), operand.shape)
    order = list(range(operand.rank))
    if turns % 2:
        order[axes[0]], order[axes[1]] = order[axes[1]], order[axes[0]]
    return permute.permuted(moved, order)


def on_a_diagonal(call: Call) -> Clear:
    """``diag_embed``: the last axis becomes the diagonal of two new ones."""
    operand = call.needed("self")
    if isinstance(operand.owner, Free):
        return generic_free(call)
    if operand.owner.axis == operand.rank - 1:
        raise NoRuleError("a diagonal along the samples' axis")
    rank = operand.rank + 1
    new = {from_front(call.integer("dim1", -2), rank), from_front(call.integer("dim2", -1), rank)}
    kept = [axis for axis in range(rank) if axis not in new]
    return replace(operand.owner, axis=kept[operand.owner.axis])


def filled_by_index(call: Call) -> Clear:
    """``index_fill``: one number at the places that an index names along one axis."""
    operand, index = call.needed("self"), call.needed("index")
    axis = call.axis("dim", operand.rank)
    value = call.operand("value")
    owner = _written_along(operand, axis, index)
    found = joined([Operand(owner, operand.shape), *([value] if value is not None else [])], operand.shape)
    return found if isinstance(found, Own) else Free(found.uniform - {axis}, count=found.count)


def copied_by_index(call: Call) -> Clear:
    """``index_copy``: slices at the places that an index names along one axis."""
    operand, index, source = call.needed("self"), call.needed("index"), call.needed("source")
    axis = call.axis("dim", operand.rank)
    owner = _written_along(operand, axis, index)
    if source.rank != operand.rank or (isinstance(source.owner, Own) and source.owner.axis == axis):
        raise NoRuleError("it writes samples to places by index")
    # Any slice may land at any place: along this axis nothing tells where a value came from.
    flat: Shape = tuple(1 if at == axis else size for at, size in enumerate(source.shape))
    found = joined([Operand(owner, operand.shape), Operand(source.owner, flat)], operand.shape)
    found = counted(found, any_of_batch((source.shape[axis],)))
    return found if isinstance(found, Own) else Free(found.uniform - {axis}, count=found.count)


def _written_along(operand: Operand, axis: int, index: Operand) -> Clear:
    """The owner of what places along an axis are overwritten in."""
    if isinstance(index.owner, Own):
        raise MeetError(BY_OTHERS)
    count = any_count((operand, index)) or any_of_batch((operand.shape[axis], *index.shape))
    if isinstance(operand.owner, Own):
        if operand.owner.axis == axis:
            raise NoRuleError("it writes to samples by index")
        return counted(operand.owner, count)
    return Free(operand.owner.uniform - {axis}, count=count)


def solved(call: Call) -> Clear:
    """``linalg_solve``: every matrix on the last two axes, and what it is solved for, on their own."""
    matrix, wanted = call.needed("A"), call.needed("B")
    if matrix.rank < 2 or not wanted.rank:
        raise NoRuleError("its operands aren't matrices")
    vector = wanted.rank == 1 or (wanted.rank == matrix.rank - 1 and wanted.shape == matrix.shape[:-1])
    if isinstance(matrix.owner, Own) and matrix.owner.axis >= matrix.rank - 2:
        raise MeetError(f"{call.kind} along axis {matrix.owner.axis}, which carries the samples")
    if vector:
        wanted = Operand(widened(wanted.owner, wanted.rank), (*wanted.shape, 1))
    if matrix.rank != wanted.rank or any(
        one != other for one, other in zip(matrix.shape[:-2], wanted.shape[:-2], strict=True)
    ):
        raise NoRuleError("its matrices are spread over each other")
    lead: list[Hashable] = list(range(matrix.rank - 2))
    if vector or call.flag("left", default=True):
        labels: tuple[list[Hashable], list[Hashable]] = (["known", "column"], ["unknown", "column"])
    else:
        labels = (["row", "known"], ["row", "unknown"])
    found = contracted(
        [(matrix, [*lead, "known", "unknown"]), (wanted, [*lead, *labels[0]])], [*lead, *labels[1]], what=call.kind
    )
    if isinstance(found, Free):  # all places of a matrix count for every one of the result
        return generic_free(call)
    return found


def spectra(call: Call) -> Clear:
    """``stft``: stretches of the last axis, and their Fourier transform."""
    operand, window = call.needed("self"), call.operand("window")
    if window is not None and isinstance(window.owner, Own):
        raise NoRuleError("its window depends on samples")
    if isinstance(operand.owner, Free):
        return generic_free(call)
    return along(operand, (operand.rank - 1,), what=call.kind)


def grouped_products(call: Call) -> Clear:
    """Rows that were sorted by the matrix that they go through (experts): how many go through each is in ``offs``."""
    rows, offsets = call.needed("input", "self", "mat_a"), call.operand("offs")
    matrices = call.needed("weight", "mat2", "mat_b")
    if isinstance(rows.owner, Own) or isinstance(matrices.owner, Own):
        raise RoutedError("which matrix a row goes through depends on how many rows go through those before")
    if offsets is not None and isinstance(offsets.owner, Own):
        raise RoutedError("how many rows go through each matrix depends on the samples")
    return generic_free(call)


def taken_by_mask(call: Call) -> Clear:
    """``masked_scatter``: elements of a source, one after the other, go where a mask holds over all of it."""
    operand, mask, source = call.needed("self"), call.needed("mask"), call.needed("source")
    same = isinstance(source.owner, Free) and len(source.owner.uniform) == source.rank
    if not same:
        raise NoRuleError("what it takes for one place depends on the mask at all places before")
    return joined([operand, mask, Operand(source.owner, ())], call.shape)
