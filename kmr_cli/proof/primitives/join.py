"""Tensors put together along an axis, and cut apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kmr_cli.proof.call import Call
from kmr_cli.proof.owners import Clear, Free, MeetError, NoRuleError, Operand, Own, any_count, varies
from kmr_cli.proof.primitives.pointwise import ELSEWHERE
from kmr_cli.proof.sizes import Shape, Size, any_of_batch, quotient


def concatenated(operands: Sequence[Operand], axis: int) -> Clear:
    """The owner of tensors one behind the other along an axis."""
    operands = [one for one in operands if one.shape != (0,)]
    if not operands:
        raise NoRuleError("it joins nothing")
    count = any_count(operands)
    owned = [one.owner for one in operands if isinstance(one.owner, Own)]
    if not owned:
        starts = [one.shape[axis] for one in operands[:-1]]  # where a part begins depends on how long those before are
        uniform = frozenset.intersection(*(one.owner.uniform for one in operands if isinstance(one.owner, Free)))
        return Free(uniform - ({axis} if len(operands) > 1 else set()), count=count or any_of_batch(starts))
    first = owned[0]
    if first.axis == axis:
        if len(owned) < len(operands):
            raise NoRuleError("it puts what belongs to no sample between the samples")
        if any((one.axis, one.inner) != (first.axis, first.inner) for one in owned):
            raise MeetError(ELSEWHERE)
        outer: Size = 0
        for one in owned:
            outer = outer + one.outer
        return replace(first, outer=outer, place=any(one.place for one in owned), count=count)
    if any(one.pattern != first.pattern for one in owned):
        raise MeetError(ELSEWHERE)
    place = any(one.place for one in owned) or any(varies(one, first.axis) for one in operands)
    return replace(first, place=place, count=count)


def cat(call: Call) -> Clear:
    """``cat``."""
    operands = call.operands("tensors")
    return concatenated(operands, call.axis("dim", len(call.shape), 0))


def stacked(operands: Sequence[Operand], axis: int) -> Clear:
    """The owner of tensors side by side along a new axis."""
    widened = [_widened(one, axis) for one in operands]
    found = concatenated(widened, axis)
    return Free(found.uniform - {axis}, count=found.count) if isinstance(found, Free) else found


def _widened(operand: Operand, axis: int) -> Operand:
    owner = operand.owner
    if isinstance(owner, Own):
        owner = replace(owner, axis=owner.axis + (axis <= owner.axis))
    else:
        owner = Free(frozenset(one + (axis <= one) for one in owner.uniform), count=owner.count)
    return Operand(owner, (*operand.shape[:axis], 1, *operand.shape[axis:]))


def stack(call: Call) -> Clear:
    """``stack``."""
    return stacked(call.operands("tensors"), call.axis("dim", len(call.shape), 0))


def cut(operand: Operand, axis: int, lengths: Sequence[Size], batch: Size) -> tuple[Clear, ...]:
    """The owners of consecutive parts along an axis."""
    owner = operand.owner
    if isinstance(owner, Free):
        index = None if owner.index == axis else owner.index
        starts: Size = 0
        parts = []
        for length in lengths:
            parts.append(Free(owner.uniform, index, owner.count or any_of_batch((starts,))))
            starts = starts + length
        return tuple(parts)
    if owner.axis != axis:
        return (owner,) * len(lengths)
    outers = [quotient(length, batch * owner.inner) for length in lengths]
    if any(outer is None or outer == 0 for outer in outers):
        raise NoRuleError("it cuts the samples' axis apart")
    return tuple(replace(owner, outer=outer) for outer in outers if outer is not None)


def split(call: Call) -> tuple[Clear, ...]:
    """``split``, ``chunk``: the file tells how long the parts are."""
    operand = call.needed("self", "input")
    return cut_as_declared(call, operand, call.axis("dim", operand.rank, 0))


def cut_as_declared(call: Call, operand: Operand, axis: int) -> tuple[Clear, ...]:
    """The owners of consecutive parts along an axis, of which the file tells how long they are."""
    return cut(operand, axis, [_along(shape, axis) for shape in call.shapes], call.batch)


def _along(shape: Shape | None, axis: int) -> Size:
    if shape is None:
        raise NoRuleError("the file does not declare how long the parts are")
    return shape[axis]


def sliced(operand: Operand, axis: int, start: Size, step: int, shape: Shape, batch: Size) -> Clear:
    """The owner of a stretch of an axis, every ``step``-th place of it."""
    owner, whole, kept = operand.owner, operand.shape[axis], shape[axis]
    if whole == kept and step == 1:
        return owner
    if isinstance(owner, Free):
        from_end = any_of_batch((whole,)) and not (isinstance(start, int) and start >= 0)
        index = owner.index if owner.index != axis or (start == 0 and step == 1) else None
        return Free(owner.uniform, index, owner.count or from_end or any_of_batch((start,)) or step < 0)
    if owner.axis != axis:
        from_end = any_of_batch((whole,)) and not (isinstance(start, int) and start >= 0)
        return replace(owner, count=owner.count or from_end or any_of_batch((start,)))
    block = batch * owner.inner
    outer, begin = quotient(kept, block), quotient(start, block)
    if step == 1 and owner.outer != 1 and outer is not None and begin is not None:
        return replace(owner, outer=outer)
    if isinstance(batch, int):
        raise NoRuleError("it takes some of the samples")
    raise MeetError(f"it takes some places of axis {axis}, which carries the samples")


def slice_(call: Call) -> Clear:
    """``self[a:b:c]`` along one axis; ``narrow``."""
    operand = call.needed("self")
    axis = call.axis("dim", operand.rank, 0)
    return sliced(operand, axis, call.size("start", 0), call.integer("step", 1), call.shape, call.batch)


def rolled(call: Call) -> Clear:
    """Elements move along axes, and come in again at the other end."""
    operand = call.needed("self")
    axes = call.axes("dims", operand.rank) if call.given("dims") and call.integers("dims") else ()
    return moved_along(operand, axes or tuple(range(operand.rank)), "it moves samples to the places of others")


def moved_along(operand: Operand, axes: tuple[int, ...], mixed: str) -> Clear:
    """Elements change places along axes; ``mixed`` is what to say where samples do."""
    if isinstance(operand.owner, Own):
        if operand.owner.axis in axes:
            raise NoRuleError(mixed)
        return operand.owner
    count = any_of_batch(operand.shape[axis] for axis in axes)
    return Free(operand.owner.uniform, count=operand.owner.count or count)


def triangle(call: Call) -> Clear:
    """Zeros on one side of the diagonal of the last two axes."""
    operand = call.needed("self")
    if operand.rank < 2:
        raise NoRuleError("it has fewer than two axes")
    if isinstance(operand.owner, Free):
        return Free(operand.owner.uniform - {operand.rank - 1, operand.rank - 2}, count=operand.owner.count)
    if operand.owner.axis >= operand.rank - 2:
        return replace(operand.owner, place=True)
    return operand.owner


def windows(call: Call) -> Clear:
    """``unfold``: overlapping stretches of an axis, along a new last one."""
    operand = call.needed("self")
    axis = call.axis("dimension", operand.rank)
    if isinstance(operand.owner, Free):
        raise NoRuleError("windows of what belongs to no sample")
    if operand.owner.axis == axis:
        raise MeetError(f"windows along axis {axis}, which carries the samples")
    return operand.owner


def padded(operand: Operand, before: Sequence[Size], after: Sequence[Size]) -> Clear:
    """The owner of a tensor with elements added before and behind, axis by axis."""
    grown = [axis for axis in range(operand.rank) if before[axis] != 0 or after[axis] != 0]
    owner = operand.owner
    if isinstance(owner, Own):
        if owner.axis in grown:
            raise NoRuleError("it puts what belongs to no sample before or behind the samples")
        return owner
    count = any_of_batch(operand.shape[axis] for axis in grown)
    return Free(owner.uniform - frozenset(grown), count=owner.count or count)


def pad(call: Call) -> Clear:
    """``pad`` and its kin: pairs, from the last axis on."""
    operand = call.needed("self")
    pairs = call.integers("pad") if call.given("pad") else call.integers("padding")
    if len(pairs) > 2 * operand.rank or len(pairs) % 2:
        raise NoRuleError("it pads more axes than there are")
    before, after = [0] * operand.rank, [0] * operand.rank
    for place in range(len(pairs) // 2):
        before[operand.rank - 1 - place], after[operand.rank - 1 - place] = pairs[2 * place : 2 * place + 2]
    return padded(operand, before, after)
