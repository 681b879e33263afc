"""Elements written to places that numbers or masks name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kmr_cli.proof.call import Call
from kmr_cli.proof.owners import (
    Clear,
    Free,
    MeetError,
    NoRuleError,
    Operand,
    Own,
    RoutedError,
    any_count,
    counted,
    varies,
)
from kmr_cli.proof.primitives.gather import BY_OTHERS, by_mask, indexed
from kmr_cli.proof.primitives.pointwise import joined
from kmr_cli.proof.sizes import Shape, Size, any_of_batch

_SUMS = ("add", "reduce", "sum")


def scatter(call: Call) -> Clear:
    """Every element of a source goes to the place that the element of the indices at its place names."""
    operand = call.needed("self")
    source = call.operand("src") or call.operand("value")
    adds = any(word in call.kind for word in _SUMS)
    return scattered(operand, call.axis("dim", operand.rank), call.needed("index"), source, adds=adds, call=call)


def scattered(
    operand: Operand, axis: int, indices: Operand, source: Operand | None, *, adds: bool, call: Call
) -> Clear:
    """The owner after elements are written along an axis; ``adds``: what lands at one place is added up."""
    written = [one for one in (indices, source) if one is not None and one.rank]
    owned = next((one.owner for one in (operand, *written) if isinstance(one.owner, Own)), None)
    if owned is not None and owned.axis == axis:
        if adds:
            raise MeetError(f"{call.kind} along axis {axis}, which carries the samples")
        raise NoRuleError("it writes along the samples' axis")
    for one in written:
        if owned is not None and one.shape[owned.axis] != operand.shape[owned.axis]:
            raise NoRuleError("it writes for some of the samples only")
    # Whatever is written may land anywhere along the axis: nothing there tells where it came from.
    blurred = [Operand(one.owner, tuple(1 if at == axis else n for at, n in enumerate(one.shape))) for one in written]
    cut = [Operand(one.owner, _widest(one.shape, operand.shape)) for one in blurred]
    base = operand.owner
    if isinstance(base, Free):
        base = Free(base.uniform, count=base.count)
    found = joined([Operand(base, operand.shape), *cut], operand.shape)
    return found if isinstance(found, Own) else Free(count=found.count or call.spans_batch)


def _widest(shape: Shape, whole: Shape) -> Shape:
    """A shape whose axes are those of the whole or 1: what is written may be smaller than what it is written to."""
    return tuple(1 if size == 1 else full for size, full in zip(shape, whole, strict=True))


def index_add(call: Call) -> Clear:
    """Slices added to those that indices name along one axis."""
    operand, indices, source = call.needed("self"), call.needed("index"), call.needed("source")
    axis = call.axis("dim", operand.rank)
    if isinstance(indices.owner, Own):
        raise MeetError("what is added where depends on what the samples hold")
    for one in (operand, source):
        if isinstance(one.owner, Own) and one.owner.axis == axis:
            raise MeetError(f"{call.kind} along axis {axis}, which carries the samples")
    flat = Operand(source.owner, tuple(1 if at == axis else n for at, n in enumerate(source.shape)))
    found = joined([operand, flat], operand.shape)
    count = any_count([operand, source, indices]) or any_of_batch((operand.shape[axis], source.shape[axis]))
    return counted(found, count) if isinstance(found, Own) else Free(found.uniform - {axis}, count=count)


def masked(call: Call) -> Clear:
    """``masked_fill`` and the like: element by element."""
    return joined(call.operands(), call.needed_shape("self"))


def index_put(call: Call) -> Clear:
    """``self[…] = values``."""
    operand, values = call.needed("self"), call.needed("values")
    indices = call.optional_operands("indices")
    if by_mask(call):
        used = [one for one in indices if one is not None]
        if len(used) != 1 or indices[0] is None or any(size != 1 for size in values.shape):
            raise NoRuleError("what it writes is spread over the places that a mask names")
        mask = used[0]
        spread = Operand(mask.owner, (*mask.shape, *((1,) * (operand.rank - mask.rank))))
        return joined([operand, spread, Operand(values.owner, ())], operand.shape)
    if not isinstance(operand.owner, Own):
        raise NoRuleError("it writes by index into what belongs to no sample")
    axes = [axis for axis, one in enumerate(indices) if one is not None]
    kept = [axis for axis in range(operand.rank) if axis not in axes]
    used = [one for one in indices if one is not None]
    rank = max(one.rank for one in used)
    together = axes == list(range(axes[0], axes[-1] + 1))
    start = axes[0] if together else 0
    spread_shape = _broadcast([one.shape for one in used], rank)
    target = (
        *(operand.shape[axis] for axis in kept if together and axis < start),
        *spread_shape,
        *(operand.shape[axis] for axis in kept if not together or axis > start),
    )
    place = indexed(operand, indices, target)
    found = joined([Operand(place, target), values], target)
    if not isinstance(place, Own) or not isinstance(found, Own):
        raise NoRuleError("it writes by index")
    owner = operand.owner
    return replace(owner, place=owner.place or found.place, count=owner.count or found.count)


def by_slices(operand: Operand, depth: int, places: Sequence[Operand], source: Operand) -> Clear:
    """The owner after whole slices are written to places on the first axes, ``depth`` of them.

    Args:
        operand: that is written to.
        depth: how many of its axes the places are on.
        places: that are written to, along the last axis of each.
        source: the slices, behind the other axes of the places.
    """
    lead = max(one.rank for one in places) - 1
    if source.shape[lead:] != operand.shape[depth:]:
        raise NoRuleError("what it writes does not fit")
    if any(isinstance(one.owner, Own) for one in places):
        if isinstance(operand.owner, Own):
            raise MeetError(BY_OTHERS)
        raise RoutedError("where it writes depends on samples")
    owner: Clear = source.owner
    if isinstance(owner, Own):
        if owner.axis < lead:
            raise NoRuleError("it writes samples to places by index")
        owner = replace(owner, axis=owner.axis - lead + depth)
    else:
        owner = Free(frozenset(axis - lead + depth for axis in owner.uniform if axis >= lead), count=owner.count)
    base = operand.owner if isinstance(operand.owner, Own) else Free(operand.owner.uniform, count=operand.owner.count)
    # Any of the slices may land at any place: along these axes nothing tells where a value came from.
    return joined([Operand(base, operand.shape), Operand(owner, (1,) * depth + source.shape[lead:])], operand.shape)


def by_columns(operand: Operand, columns: Sequence[Operand], source: Operand, batch: Size) -> Clear:
    """The owner after ``operand[columns] = source``, where one of the columns counts the samples in order."""
    if not isinstance(operand.owner, Own):
        return _on_nobodys(operand, columns, source, batch)
    place = indexed(operand, columns, source.shape)
    found = joined([Operand(place, source.shape), source], source.shape)
    assert isinstance(found, Own)
    owner = operand.owner
    return replace(owner, place=owner.place or found.place, count=owner.count or found.count)


def _on_nobodys(operand: Operand, columns: Sequence[Operand], source: Operand, batch: Size) -> Clear:
    """What belongs to no sample can be seen as a row of every sample's along any axis that is as long as the batch."""
    for axis, column in enumerate(columns):
        counts = isinstance(column.owner, Free) and column.owner.index is not None
        if counts and operand.shape[axis] == batch:
            rows = Own(axis, place=varies(operand, axis), count=operand.owner.count)
            try:
                return by_columns(Operand(rows, operand.shape), columns, source, batch)
            except MeetError as exc:  # that may be an order of another kind
                raise NoRuleError(str(exc)) from exc
    raise NoRuleError("it writes samples to places by index")


def _broadcast(shapes: list[Shape], rank: int) -> Shape:
    full = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    return tuple(next((size for size in sizes if size != 1), 1) for sizes in zip(*full, strict=True))


def slice_scatter(call: Call) -> Clear:
    """``self[a:b] = src`` along one axis, as a new tensor."""
    operand, source = call.needed("self"), call.needed("src")
    axis = call.axis("dim", operand.rank, 0)
    for one in (operand, source):
        if isinstance(one.owner, Own) and one.owner.axis == axis:
            if source.shape == operand.shape and isinstance(source.owner, Own):
                return source.owner
            raise NoRuleError("it writes to some of the samples")
    flat = Operand(source.owner, tuple(1 if at == axis else n for at, n in enumerate(source.shape)))
    found = joined([operand, flat], operand.shape)
    return found if isinstance(found, Own) else Free(found.uniform - {axis}, count=found.count)


def select_scatter(call: Call) -> Clear:
    """``self[i] = src`` along one axis, as a new tensor."""
    operand, source = call.needed("self"), call.needed("src")
    axis = call.axis("dim", operand.rank, 0)
    if isinstance(operand.owner, Own) and operand.owner.axis == axis:
        raise NoRuleError("it writes to one sample")
    owner = source.owner
    if isinstance(owner, Own):
        owner = replace(owner, axis=owner.axis + (owner.axis >= axis))
    else:
        owner = Free(frozenset(one + (one >= axis) for one in owner.uniform), count=owner.count)
    shape = (*source.shape[:axis], 1, *source.shape[axis:])
    found = joined([operand, Operand(owner, shape)], operand.shape)
    return found if isinstance(found, Own) else Free(found.uniform - {axis}, count=found.count or call.spans_batch)
