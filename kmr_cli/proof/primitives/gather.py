"""Elements picked by numbers: tables, and indices along one or several axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kmr_cli.proof.call import Call
from kmr_cli.proof.owners import Clear, Free, MeetError, NoRuleError, Operand, Own, RoutedError, any_count, varies
from kmr_cli.proof.primitives.pointwise import joined
from kmr_cli.proof.sizes import Shape, any_of_batch

BY_OTHERS = "samples are picked by what another sample holds"


def by_index(indices: Operand, reason: str) -> NoRuleError:
    """What to raise where samples are picked: what they hold may decide which."""
    return RoutedError(reason) if isinstance(indices.owner, Own) else NoRuleError(reason)


def picked(table: Operand, axis: int, indices: Operand) -> Clear:
    """The owner where whole slices along one axis are picked: the axis gives way to those of the indices."""
    count = any_count((table, indices)) or any_of_batch((table.shape[axis],))
    grown = indices.rank - 1
    if isinstance(table.owner, Own):
        if table.owner.axis == axis:
            plain_index = isinstance(indices.owner, Free) and indices.owner.index == 0 and indices.rank == 1
            if plain_index and table.owner.outer == table.owner.inner == 1 and indices.shape[0] == table.shape[axis]:
                return replace(table.owner, count=table.owner.count or indices.owner.count)
            raise by_index(indices, "it picks samples by index, or reorders them")
        if isinstance(indices.owner, Own):
            raise MeetError(BY_OTHERS)
        return replace(table.owner, axis=table.owner.axis + (grown if axis < table.owner.axis else 0), count=count)
    if isinstance(indices.owner, Own):
        return replace(indices.owner, axis=indices.owner.axis + axis, count=count)
    uniform = {one if one < axis else one + grown for one in table.owner.uniform if one != axis}
    uniform |= {one + axis for one in indices.owner.uniform}
    if axis in table.owner.uniform:
        uniform |= set(range(axis, axis + indices.rank))
    return Free(frozenset(uniform), count=count)


def embedding(call: Call) -> Clear:
    """Rows of a table."""
    return picked(call.needed("weight"), 0, call.needed("indices"))


def index_select(call: Call) -> Clear:
    """Slices along one axis."""
    operand = call.needed("self")
    return picked(operand, call.axis("dim", operand.rank), call.needed("index"))


def elements(operand: Operand, axis: int, indices: Operand, shape: Shape) -> Clear:
    """The owner where every element of the indices picks one along the axis, at its own place along the others."""
    count = any_of_batch((operand.shape[axis],))
    rank = len(shape)
    if operand.rank != rank or indices.rank != rank:
        raise NoRuleError("operand and indices have different numbers of axes")
    if isinstance(operand.owner, Own):
        if operand.owner.axis == axis:
            raise NoRuleError("it picks along the samples' axis")
        if indices.shape[operand.owner.axis] not in (operand.shape[operand.owner.axis], 1):
            raise NoRuleError("it picks for some of the samples")
    elif any(operand.shape[one] != shape[one] and varies(operand, one) for one in range(rank) if one != axis):
        count = count or any_of_batch(operand.shape)
    if isinstance(indices.owner, Own) and indices.owner.axis == axis and isinstance(operand.owner, Own):
        raise MeetError(BY_OTHERS)
    # Along the axis itself any place may be picked, so nothing that stands there says where a result comes from.
    source = Operand(_blurred(operand), tuple(1 if one == axis else n for one, n in enumerate(operand.shape)))
    found = joined([source, indices], shape)
    return replace(found, count=found.count or count)


def _blurred(operand: Operand) -> Clear:
    if isinstance(operand.owner, Own):
        return operand.owner
    return Free(operand.owner.uniform, count=operand.owner.count)


def gather(call: Call) -> Clear:
    """``gather``, ``take_along_dim``."""
    operand, indices = call.needed("self"), call.needed("index", "indices")
    return elements(operand, call.axis("dim", operand.rank), indices, call.shape)


def indexed(operand: Operand, indices: Sequence[Operand | None], shape: Shape) -> Clear:
    """The owner of ``operand[i, :, j, …]`` with whole numbers as indices.

    Args:
        operand: what is indexed.
        indices: one for every leading axis, None for one that is kept.
        shape: of the result.
    """
    axes = [axis for axis, one in enumerate(indices) if one is not None]
    used = [one for one in indices if one is not None]
    if not axes:
        return operand.owner
    rank = max(one.rank for one in used)
    together = axes == list(range(axes[0], axes[-1] + 1))
    start = axes[0] if together else 0
    spread = shape[start : start + rank]
    count = any_count([operand, *used]) or any_of_batch(operand.shape[axis] for axis in axes)
    owner = operand.owner
    if isinstance(owner, Own) and owner.axis not in axes:
        if any(isinstance(one.owner, Own) for one in used):
            raise MeetError(BY_OTHERS)
        kept = [axis for axis in range(operand.rank) if axis not in axes]
        place = kept.index(owner.axis)
        return replace(owner, axis=place + (rank if not together or owner.axis > start else 0), count=count)
    if isinstance(owner, Own):
        by_number = indices[owner.axis]
        assert by_number is not None
        mine = _own_index(by_number, owner, operand, spread)
        rest = [Operand(mine, spread), *(one for one in used if one is not by_number)]
        count = any_count(rest) or any_of_batch(operand.shape[axis] for axis in axes if axis != owner.axis)
        found = joined(rest, spread)
        assert isinstance(found, Own)
        return replace(found, axis=found.axis + start, count=found.count or count)
    found = joined(used, spread)
    if isinstance(found, Own):
        return replace(found, axis=found.axis + start, count=count)
    if all(axis in owner.uniform or operand.shape[axis] == 1 for axis in axes):  # whatever is picked is the same
        kept = [axis for axis in range(operand.rank) if axis not in axes]
        places = {axis: place + (rank if not together or axis > start else 0) for place, axis in enumerate(kept)}
        uniform = {places[axis] for axis in owner.uniform if axis in places} | set(range(start, start + rank))
        return Free(frozenset(uniform), count=owner.count)
    return Free(count=count)


def _own_index(indices: Operand, owner: Own, operand: Operand, spread: Shape) -> Own:
    """The indices of the samples' axis as an owner: 0, 1, 2 … pick every sample once, in order."""
    if isinstance(indices.owner, Own):
        raise RoutedError("the samples are put into an order that depends on what they hold")
    index = indices.owner.index
    if index is None or owner.outer != 1 or owner.inner != 1 or indices.shape[index] != operand.shape[owner.axis]:
        raise NoRuleError("it picks samples by index")
    return replace(owner, axis=index + len(spread) - indices.rank, count=owner.count or indices.owner.count)


def index(call: Call) -> Clear:
    """``self[…]`` with tensors as indices."""
    operand = call.needed("self")
    indices = call.optional_operands("indices")
    if by_mask(call):
        raise RoutedError("how many elements it picks depends on what a mask holds")
    return indexed(operand, indices, call.shape)


def by_mask(call: Call) -> bool:
    """Whether one of the indices is a mask."""
    names = [name for key, one in call.operator.arguments if key == "indices" for name in call.names(one)]
    dtypes = [None if (value := call.values.get(name)) is None else value.dtype for name in names]
    if None in dtypes:
        raise NoRuleError("the file does not tell whether an index is a mask or holds numbers")
    return any(dtype in ("bool", "uint8") for dtype in dtypes)
