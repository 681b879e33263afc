"""TensorFlow's operations that move, join, cut and pick elements."""

from __future__ import annotations

from dataclasses import replace

from kmr_cli.proof.call import Call, generic_free
from kmr_cli.proof.owners import Clear, Each, Free, MeetError, NoRuleError, Operand, Own, Owner, everywhere
from kmr_cli.proof.primitives import join, permute, pointwise, reshape
from kmr_cli.proof.primitives.cuts import Cut, Cuts, cut_out, widened
from kmr_cli.proof.sizes import Size, any_of_batch, loops_of, product, quotient, round_of

BY_THE_ROUND = "which samples it takes changes between iterations"


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
    return join.cut_as_declared(call, operand, call.axis("axis", operand.rank))


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
    return join.moved_along(operand, call.axes("axis", operand.rank), "it reverses the order of the samples")


def roll(call: Call) -> Clear:
    """Elements move along axes, and come in again at the other end."""
    operand = call.needed("self")
    return join.moved_along(operand, call.axes("axis", operand.rank), "it moves samples to the places of others")


def reverse_sequence(call: Call) -> Clear:
    """The first steps of each sample backwards, as many as it has."""
    operand, lengths = call.needed("self"), call.needed("lengths")
    batch, steps = call.axis("batch_dim", operand.rank, 0), call.axis("seq_dim", operand.rank)
    if isinstance(operand.owner, Own) and operand.owner.axis == steps:
        raise NoRuleError("it reverses the order of the samples")
    if isinstance(lengths.owner, Own) and isinstance(operand.owner, Own) and operand.owner.axis != batch:
        raise MeetError("it goes by the lengths of other samples")
    spread = Operand(lengths.owner, (*lengths.shape, *((1,) * (operand.rank - 1 - batch))))
    found = pointwise.joined([operand, spread], operand.shape)
    return found if isinstance(found, Own) else Free(found.uniform - {steps}, count=found.count)


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
