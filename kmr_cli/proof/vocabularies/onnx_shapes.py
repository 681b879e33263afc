"""ONNX's operators that move, cut and pick elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kmr_cli.proof.call import Call, generic_free
from kmr_cli.proof.owners import Clear, Free, MeetError, NoRuleError, Operand, Own, Owner
from kmr_cli.proof.primitives import gather, join, permute, pointwise, reshape, scatter
from kmr_cli.proof.sizes import Size, any_of_batch


def transpose(call: Call) -> Clear:
    """Axes in another order, reversed where none is given."""
    operand = call.needed("self")
    order = call.axes("perm", operand.rank) if call.given("perm") else tuple(reversed(range(operand.rank)))
    return permute.permuted(operand, order)


def tile(call: Call) -> Clear:
    """Copies side by side."""
    return reshape.tiled(call.needed("self"), call.sizes("repeats"), call.shape)


def slice_(call: Call) -> Clear:
    """Parts of axes, one after the other, perhaps backwards."""
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
            raise NoRuleError("it reverses the order of the samples")
        return operand.owner
    return Free(operand.owner.uniform, count=operand.owner.count or any_of_batch((operand.shape[axis],)))


def split(call: Call) -> tuple[Clear, ...]:
    """The parts that an axis is cut into."""
    operand = call.needed("self")
    return join.cut_as_declared(call, operand, call.axis("axis", operand.rank, 0))


def concat(call: Call) -> Clear:
    """Tensors one after the other along an axis."""
    return join.concatenated(call.operands(), call.axis("axis", len(call.shape)))


def pad(call: Call) -> Clear:
    """Filled up at both ends of axes; the filling may be a tensor."""
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


def picked(call: Call) -> Clear:
    """``Gather``: places of one axis."""
    operand = call.needed("self")
    axis = call.axis("axis", operand.rank, 0)
    index = call.needed("index")
    if isinstance(operand.owner, Own) and operand.owner.axis == axis and not index.rank:
        if isinstance(call.batch, int):
            raise NoRuleError("it takes single samples")
        raise MeetError(f"it takes one place of axis {axis}, which carries the samples, for all of them")
    if call.given("step") and axis == 0 and isinstance(operand.owner, Own) and isinstance(index.owner, Free):
        found = _block_by_block(call, operand.owner, index)
        if found is not None:
            return found
    return gather.picked(operand, axis, index)


def _block_by_block(call: Call, owner: Own, index: Operand) -> Own | None:
    """Along one axis of the indices stand places of one block of so many after the other: each is one sample's."""
    along = index.rank + call.integer("along")
    one_block_each = owner.pattern == (0, 1, call.integer("step"))
    if not one_block_each or along < 0 or index.shape[along] != call.batch:
        return None
    return replace(owner, axis=along, inner=1)


def picked_by_places(call: Call) -> Clear:
    """``GatherND``: along the last axis of the indices stand the places on the first axes.

    As exporters of ``x[i, j]`` write it, that axis was joined of one index for each: they are told apart then.
    """
    operand = call.needed("self")
    if call.integer("batch_dims", 0):
        raise NoRuleError("some axes of its indices are the operand's own")
    columns = _columns(call)
    if any(one.shape[-1] != 1 for one in columns):
        raise NoRuleError("which of its indices are of which axis is not known")
    return gather.indexed(operand, [_column(one) for one in columns], call.shape)


def scattered_by_places(call: Call) -> Clear:
    """``ScatterND``: slices written to the places that stand along the last axis of the indices, as for GatherND."""
    operand, source, columns = call.needed("self"), call.needed("src"), _columns(call)
    depth = len(columns) if call.given("places") else columns[0].shape[-1]
    if not isinstance(depth, int) or depth > operand.rank:
        raise NoRuleError("how many axes its places are on is not known")
    whole = isinstance(operand.owner, Own) and operand.owner.axis >= depth
    if not whole and all(one.shape[-1] == 1 for one in columns) and _counts_samples(columns):
        return scatter.by_columns(operand, [_column(one) for one in columns], source, call.batch)
    if isinstance(operand.owner, Own) and not whole:
        raise NoRuleError("it writes to some of the samples")
    return scatter.by_slices(operand, depth, columns, source)


def _columns(call: Call) -> list[Operand]:
    """The places of ``GatherND`` and ``ScatterND``: of one axis after the other where that is known, else together."""
    return call.operands("places") if call.given("places") else [call.needed("index")]


def _counts_samples(columns: Sequence[Operand]) -> bool:
    """Whether one of the places may be the numbers of the samples, in order."""
    return any(isinstance(one.owner, Free) and one.owner.index is not None for one in columns)


def _column(index: Operand) -> Operand:
    """Without the last axis, which has one place."""
    last = index.rank - 1
    owner = index.owner
    if isinstance(owner, Own):
        if owner.axis == last:
            raise NoRuleError("the samples stand along the places of its indices")
        return Operand(owner, index.shape[:-1])
    along = None if owner.index == last else owner.index
    return Operand(replace(owner, uniform=owner.uniform - {last}, index=along, period=None), index.shape[:-1])


def gather_elements(call: Call) -> Clear:
    """One place for each element."""
    operand = call.needed("self")
    return gather.elements(operand, call.axis("axis", operand.rank, 0), call.needed("index"), call.shape)


def scatter_elements(call: Call) -> Clear:
    """Elements written to places of one axis."""
    operand = call.needed("self")
    axis = call.axis("axis", operand.rank, 0)
    adds = call.text("reduction", "none") != "none"
    return scatter.scattered(operand, axis, call.needed("index"), call.needed("src"), adds=adds, call=call)


def reverse_sequence(call: Call) -> Clear:
    """The first steps of each sample backwards, as many as it has."""
    operand, lengths = call.needed("self"), call.needed("lengths")
    batch, steps = call.axis("batch_axis", operand.rank, 1), call.axis("time_axis", operand.rank, 0)
    owner = operand.owner
    if isinstance(owner, Own) and owner.axis == steps:
        raise NoRuleError("it reverses the order of the samples")
    if isinstance(lengths.owner, Own) and isinstance(owner, Own) and owner.axis != batch:
        raise MeetError("it goes by the lengths of other samples")
    along = Operand(lengths.owner, (*lengths.shape, *((1,) * (operand.rank - 1 - batch))))
    return pointwise.joined([operand, along], operand.shape)


def one_hot(call: Call) -> Clear:
    """A new axis, of a known number of classes."""
    operand = call.needed("self")
    if call.given("depth") and call.operand("depth") is None:
        axis = call.axis("axis", operand.rank + 1, -1)
        owner = operand.owner
        if isinstance(owner, Own):
            return replace(owner, axis=owner.axis + (axis <= owner.axis))
        return Free(count=owner.count)
    raise NoRuleError("the number of classes is computed")


def resize(call: Call) -> Clear:
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


def shape_of(call: Call) -> Owner:
    """How large a tensor is, where that is not known as numbers."""
    return Free(count=any_of_batch(call.needed_shape("self")))
