"""TensorFlow's operations that move, join, cut and pick elements."""

from __future__ import annotations

from dataclasses import replace

from kmr_cli.proof.call import Call, generic_free
from kmr_cli.proof.owners import Clear, Each, Free, MeetError, NoRuleError, Operand, Own, Owner, everywhere
from kmr_cli.proof.primitives import gather, join, permute, pointwise, reduce, reshape
from kmr_cli.proof.primitives.cuts import Cut, Cuts, cut_out, widened
from kmr_cli.proof.sizes import Size, any_of_batch, loops_of, product, quotient, round_of

BY_THE_ROUND = "which samples it takes changes from round to round"


def known(call: Call) -> Free:
    """Numbers that shape arithmetic tells; the engine sees whether the number of samples or a round is in them."""
    numbers, shape = call.sizes("value"), call.shape
    if len(shape) < 2:
        same = len(set(numbers)) < 2
        counting = len(numbers) > 1 and list(numbers) == list(range(len(numbers)))
        return Free(frozenset(range(len(shape))) if same else frozenset(), 0 if counting else None)
    lengths = [size for size in shape if isinstance(size, int)]
    return Free(frozenset(axis for axis in range(len(lengths)) if _same_along(numbers, lengths, axis)))


def _same_along(numbers: tuple[Size, ...], lengths: list[int], axis: int) -> bool:
    run = 1
    for size in lengths[axis + 1 :]:
        run *= size
    block = run * lengths[axis]
    return all(
        one == numbers[place - place % block + place % run] for place, one in enumerate(numbers)
    )  # fmt: skip


def constant(call: Call) -> Free:
    """Numbers that the file holds."""
    shape = call.shapes[0]
    return everywhere(len(shape or ())) if call.flag("same") else Free()


def size_of(call: Call) -> Owner:
    """How large a tensor is, where that is not known as numbers."""
    return Free(count=any_of_batch(call.needed_shape("self")))


def sizes_of(call: Call) -> tuple[Owner, ...]:
    """How large some tensors are."""
    count = any(any_of_batch(call.values[name].shape or ()) for name in call.operator.reads)
    return (Free(count=count),) * len(call.operator.outputs)


def each_of(call: Call) -> tuple[Owner, ...]:
    """As many results as operands."""
    return tuple(call.owners[name] for name in call.operator.reads)


def transpose(call: Call) -> Clear:
    """Axes in another order."""
    operand = call.needed("self")
    return permute.permuted(operand, call.axes("perm", operand.rank))


def tile(call: Call) -> Clear:
    """All of it again and again along each axis."""
    return reshape.tiled(call.needed("self"), call.sizes("repeats"), call.shape)


def expand_dims(call: Call) -> Clear:
    """An axis of size 1 more."""
    operand = call.needed("self")
    return widened(operand.owner, call.axis("axis", operand.rank + 1))


def pack(call: Call) -> Clear:
    """Tensors side by side along a new axis."""
    return join.stacked(call.operands(), call.axis("axis", len(call.shape), 0))


def unpack(call: Call) -> tuple[Clear, ...]:
    """All places of an axis, one by one."""
    operand = call.needed("self")
    found = permute.without(operand, call.axis("axis", operand.rank, 0), call.batch, count=False)
    return (found,) * len(call.operator.outputs)


def concat(call: Call) -> Clear:
    """Tensors one behind the other along an axis."""
    return join.concatenated(call.operands("parts"), call.axis("axis", len(call.shape)))


def split(call: Call) -> tuple[Clear, ...]:
    """Consecutive parts along an axis."""
    operand = call.needed("self")
    axis = call.axis("axis", operand.rank)
    lengths: list[Size] = []
    for shape in call.shapes:
        if shape is None:
            raise NoRuleError("the file does not declare how long the parts are")
        lengths.append(shape[axis])
    return join.cut(operand, axis, lengths, call.batch)


def slice_(call: Call) -> Owner:
    """A stretch of every axis."""
    operand = call.needed("self")
    starts, sizes = call.sizes("start"), call.sizes("size")
    cuts = [
        Cut(axis, start, None if size == -1 else start + size)
        for axis, (start, size) in enumerate(zip(starts, sizes, strict=True))
    ]
    cuts = [replace(cut, start=None, end=None) if _whole(operand, cut, call) else cut for cut in cuts]
    return _cut(call, operand, cuts)


def _whole(operand: Operand, cut: Cut, call: Call) -> bool:
    axis = cut.axis or 0
    return cut.start == 0 and call.shape[axis] == operand.shape[axis]


def strided_slice(call: Call) -> Owner:
    """Whatever stands between brackets."""
    operand = call.needed("self")
    masks = dict(call.operator.arguments)
    begin, end = call.sizes("begin"), call.sizes("end")
    cuts = list(Cuts(begin, end, call.integers("strides"), masks).of(operand.rank))
    return _cut(call, operand, cuts)


def _cut(call: Call, operand: Operand, cuts: list[Cut]) -> Owner:
    owner = operand.owner
    if isinstance(owner, Own):
        mine = next((cut for cut in cuts if cut.axis == owner.axis), None)
        loops = loops_of(mine.start or 0) | loops_of(mine.end or 0) if mine is not None else frozenset()
        if mine is not None and mine.single and mine.start is not None and (loop := round_of(mine.start)) is not None:
            return Each(loop, owner.outer, owner.inner, owner.place, owner.count)
        if loops:
            raise NoRuleError(BY_THE_ROUND)
    return cut_out(operand, cuts, call.ranges, call.batch)


def pad(call: Call) -> Clear:
    """Elements added before and behind, axis by axis."""
    operand = call.needed("self")
    pads = call.sizes("pads")
    value = call.operand("value")
    found = join.padded(operand, pads[0::2], pads[1::2])
    return found if value is None else pointwise.joined([Operand(found, call.shape), value], call.shape)


def reverse(call: Call) -> Clear:
    """Axes backwards."""
    operand = call.needed("self")
    return join.moved_along(operand, call.axes("axis", operand.rank), "it turns the order of the samples around")


def roll(call: Call) -> Clear:
    """Elements move along axes, and come in again at the other end."""
    operand = call.needed("self")
    return join.moved_along(operand, call.axes("axis", operand.rank), "it moves samples to the places of others")


def reverse_sequence(call: Call) -> Clear:
    """The first steps of each sample backwards, as many as it has."""
    operand, lengths = call.needed("self"), call.needed("lengths")
    batch, steps = call.axis("batch_dim", operand.rank, 0), call.axis("seq_dim", operand.rank)
    if isinstance(operand.owner, Own) and operand.owner.axis == steps:
        raise NoRuleError("it turns the order of the samples around")
    if isinstance(lengths.owner, Own) and isinstance(operand.owner, Own) and operand.owner.axis != batch:
        raise MeetError("it goes by the lengths of other samples")
    spread = Operand(lengths.owner, (*lengths.shape, *((1,) * (operand.rank - 1 - batch))))
    found = pointwise.joined([operand, spread], operand.shape)
    return found if isinstance(found, Own) else replace(found, uniform=found.uniform - {steps}, index=None)


def fill(call: Call) -> Clear:
    """A tensor of one number."""
    value = call.needed("value")
    return pointwise.joined([value], call.shape)


def range_(call: Call) -> Free:
    """0, 1, 2 … up to a limit; an element does not depend on where that is."""
    computed = call.operand("start") or call.operand("step")
    if computed is None and call.size("start") == 0 and call.size("step", 1) == 1:
        return Free(index=0)
    return Free(count=any_of_batch(call.shape))


def spaced(call: Call) -> Free:
    """Evenly spaced: every element depends on how many there are."""
    return Free(count=any_of_batch(call.shape))


# -- picked by numbers


def pick(call: Call) -> Clear:
    """``GatherV2``: slices along one axis, for every place of leading axes that both share on its own."""
    operand, index = call.needed("self"), call.needed("index")
    shared = call.integer("batch_dims", 0)
    shared = shared + index.rank if shared < 0 else shared
    axis = call.axis("axis", operand.rank, shared if shared else 0)
    if shared:
        return _picked_in_each(operand, index, axis, shared, call)
    if isinstance(operand.owner, Own) and operand.owner.axis == axis and not index.rank:
        raise NoRuleError("it takes single samples")
    return gather.picked(operand, axis, index)


def _picked_in_each(operand: Operand, index: Operand, axis: int, shared: int, call: Call) -> Clear:
    """Along the leading axes table and index run together; the picked axis gives way to the index's others."""
    count = operand.owner.count or index.owner.count or any_of_batch((operand.shape[axis],))
    grown = index.rank - shared - 1
    if isinstance(operand.owner, Own) and operand.owner.axis == axis:
        raise NoRuleError("it picks samples by number")
    places = [one for one in range(operand.rank) if one != axis]
    table = operand.owner
    if isinstance(table, Own):
        table = replace(table, axis=table.axis + (grown if table.axis > axis else 0))
    else:
        table = Free(frozenset(one + (grown if one > axis else 0) for one in table.uniform if one in places))
    lead = [operand.shape[one] for one in range(axis)]
    rest = [operand.shape[one] for one in range(axis + 1, operand.rank)]
    spread = Operand(table, (*lead, *((1,) * (grown + 1)), *rest))
    between: list[Size] = [1] * (axis - shared)
    chosen = index.owner
    if isinstance(chosen, Own):
        chosen = replace(chosen, axis=chosen.axis + (axis - shared if chosen.axis >= shared else 0))
    else:
        chosen = Free(frozenset(one + (axis - shared if one >= shared else 0) for one in chosen.uniform)
                      | frozenset(range(shared, axis)))  # fmt: skip
    numbers = Operand(chosen, (*index.shape[:shared], *between, *index.shape[shared:], *((1,) * len(rest))))
    if isinstance(index.owner, Own) and isinstance(operand.owner, Own) and index.owner.axis >= shared:
        raise MeetError(gather.BY_OTHERS)
    found = pointwise.joined([spread, numbers], call.shape)
    return replace(found, count=found.count or count)


def pick_rows(call: Call) -> Clear:
    """``ResourceGather``: rows of a table."""
    table, index = call.needed("self"), call.needed("index")
    if call.integer("batch_dims", 0):
        return _picked_in_each(table, index, call.integer("batch_dims"), call.integer("batch_dims"), call)
    return gather.picked(table, 0, index)


def pick_points(call: Call) -> Clear:
    """``GatherNd``: the last axis of the index holds a place for each leading axis of the table."""
    operand, index = call.needed("self"), call.needed("index")
    depth = index.shape[-1]
    if not isinstance(depth, int) or call.integer("batch_dims", 0):
        raise NoRuleError("how many axes it picks along is not fixed")
    count = operand.owner.count or index.owner.count or any_of_batch(operand.shape[:depth])
    if isinstance(operand.owner, Own):
        if operand.owner.axis < depth:
            raise NoRuleError("it picks samples by number")
        if isinstance(index.owner, Own):
            raise MeetError(gather.BY_OTHERS)
        return replace(operand.owner, axis=index.rank - 1 + operand.owner.axis - depth, count=count)
    if isinstance(index.owner, Own):
        if index.owner.axis == index.rank - 1:
            raise NoRuleError("the samples stand among the places of one element")
        return replace(index.owner, count=count)
    return generic_free(call)


def one_hot(call: Call) -> Clear:
    """A new axis, as long as there are classes."""
    operand = call.needed("self")
    values = [one for name in ("on", "off") if (one := call.operand(name)) is not None]
    if any(isinstance(one.owner, Own) for one in values):
        raise NoRuleError("its values depend on samples")
    axis = call.integer("axis", -1)
    axis = operand.rank if axis < 0 else axis
    owner = operand.owner
    count = owner.count or any(one.owner.count for one in values)
    if isinstance(owner, Own):
        return replace(owner, axis=owner.axis + (axis <= owner.axis), count=count)
    return Free(frozenset(one + (axis <= one) for one in owner.uniform), count=count)


# -- written to places


def scatter_points(call: Call) -> Clear:
    """``TensorScatterUpdate`` and its kin: slices go to places that the last axis of the index names."""
    operand, index, source = call.needed("self"), call.needed("index"), call.needed("src")
    depth = index.shape[-1]
    owner = operand.owner
    if not isinstance(depth, int):
        raise NoRuleError("how many axes it writes along is not fixed")
    if isinstance(index.owner, Own):
        raise NoRuleError("where it writes depends on samples")
    if (isinstance(owner, Own) and owner.axis < depth) or (
        isinstance(source.owner, Own) and (source.owner.axis < index.rank - 1)
    ):
        raise NoRuleError("it writes to samples by number")
    lead: tuple[Size, ...] = (1,) * depth
    flat = source.owner
    shift = depth - (index.rank - 1)
    if isinstance(flat, Own):
        flat = replace(flat, axis=flat.axis + shift)
    else:
        flat = Free(frozenset(one + shift for one in flat.uniform if one >= index.rank - 1) | frozenset(range(depth)),
                    count=flat.count)  # fmt: skip
    found = pointwise.joined([operand, Operand(flat, (*lead, *source.shape[index.rank - 1 :]))], operand.shape)
    if isinstance(found, Own):
        return replace(found, count=found.count or index.owner.count)
    return Free(found.uniform - frozenset(range(depth)), count=found.count or index.owner.count or call.spans_batch)


def segments(call: Call) -> Clear:
    """``UnsortedSegmentSum`` and its kin: rows are added up that bear the same number."""
    operand, index = call.needed("self"), call.needed("index")
    if isinstance(index.owner, Own):
        raise MeetError("samples that bear the same number are added up")
    if isinstance(operand.owner, Own):
        if operand.owner.axis < index.rank:
            raise NoRuleError("it adds up samples by number")
        return replace(operand.owner, axis=operand.owner.axis - index.rank + 1)
    return generic_free(call)


def counts(call: Call) -> Clear:
    """``DenseBincount``: how often each number stands in a row."""
    operand, weights = call.needed("self"), call.operand("weights")
    if operand.rank != 2:
        raise NoRuleError("it counts over all rows")
    taken = [operand] if weights is None or weights.shape == (0,) else [operand, weights]
    found = pointwise.joined(taken, operand.shape)
    return reduce.along(Operand(found, operand.shape), (1,), what=call.kind)


def diagonal(call: Call) -> Clear:
    """``MatrixDiagPartV3``: the last two axes become one."""
    operand = call.needed("self")
    if isinstance(operand.owner, Free):
        return generic_free(call)
    if operand.owner.axis >= operand.rank - 2:
        raise NoRuleError("a diagonal along the samples' axis")
    return operand.owner


def on_diagonal(call: Call) -> Clear:
    """``MatrixDiagV3``: the last axis becomes the diagonal of two."""
    operand = call.needed("diagonal", "self")
    if isinstance(operand.owner, Free):
        return generic_free(call)
    if operand.owner.axis >= operand.rank - 1:
        raise NoRuleError("a diagonal along the samples' axis")
    return operand.owner


def with_diagonal(call: Call) -> Clear:
    """``MatrixSetDiagV3``: the last two axes of one operand, the last of the other."""
    operand, values = call.needed("self"), call.needed("diagonal")
    if isinstance(operand.owner, Own) and operand.owner.axis >= operand.rank - 2:
        raise NoRuleError("a diagonal along the samples' axis")
    if isinstance(values.owner, Own) and values.owner.axis >= operand.rank - 2:
        raise NoRuleError("a diagonal along the samples' axis")
    lead = Operand(values.owner, (*values.shape[: operand.rank - 2], 1, 1))
    found = pointwise.joined([operand, lead], operand.shape)
    last = {operand.rank - 1, operand.rank - 2}
    return found if isinstance(found, Own) else Free(found.uniform - last, count=found.count or call.spans_batch)


def to_batch(call: Call) -> Clear:
    """``SpaceToBatchND``: blocks of space come before the samples."""
    return _blocks(call, into=True)


def from_batch(call: Call) -> Clear:
    """``BatchToSpaceND``: and back."""
    return _blocks(call, into=False)


def _blocks(call: Call, *, into: bool) -> Clear:
    operand = call.needed("self")
    count = product(call.sizes("block"))
    if not isinstance(operand.owner, Own):
        return generic_free(call)
    if operand.owner.axis != 0:
        raise MeetError(f"{call.kind} over axis {operand.owner.axis}, which carries the samples")
    outer = operand.owner.outer * count if into else quotient(operand.owner.outer, count)
    if outer is None or outer == 0:
        raise MeetError(f"{call.kind} takes samples for blocks of space")
    return replace(operand.owner, outer=outer)


def set_by_row(call: Call) -> Clear:
    """``Select``: the condition may hold one value for every row."""
    condition, one, other = call.needed("condition"), call.needed("self"), call.needed("other")
    if condition.rank == 1 and one.rank > 1:
        condition = Operand(condition.owner, (*condition.shape, *((1,) * (one.rank - 1))))
    return pointwise.joined([condition, one, other], call.shape)
