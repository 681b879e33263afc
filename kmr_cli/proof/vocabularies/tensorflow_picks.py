"""TensorFlow's operations that pick elements by numbers, and write them to places that numbers name."""

from __future__ import annotations

from dataclasses import replace

from kmr_cli.proof.call import Call, generic_free
from kmr_cli.proof.owners import Clear, Free, MeetError, NoRuleError, Operand, Own, RoutedError
from kmr_cli.proof.primitives import gather, pointwise, reduce
from kmr_cli.proof.sizes import Size, any_of_batch


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
        raise gather.by_index(index, "it picks samples by index")
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
            raise gather.by_index(index, "it picks samples by index")
        if isinstance(index.owner, Own):
            raise MeetError(gather.BY_OTHERS)
        return replace(operand.owner, axis=index.rank - 1 + operand.owner.axis - depth, count=count)
    if isinstance(index.owner, Own):
        if index.owner.axis == index.rank - 1:
            raise NoRuleError("the samples are on an axis inside the elements")
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


def scatter_points(call: Call) -> Clear:
    """``TensorScatterUpdate`` and its kin: slices go to places that the last axis of the index names."""
    operand, index, source = call.needed("self"), call.needed("index"), call.needed("src")
    depth = index.shape[-1]
    owner = operand.owner
    if not isinstance(depth, int):
        raise NoRuleError("how many axes it writes along is not fixed")
    if isinstance(index.owner, Own):
        raise RoutedError("where it writes depends on samples")
    if (isinstance(owner, Own) and owner.axis < depth) or (
        isinstance(source.owner, Own) and (source.owner.axis < index.rank - 1)
    ):
        raise NoRuleError("it writes to samples by index")
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


def updated(call: Call) -> Clear:
    """``XlaDynamicUpdateSlice``: a block takes the place of a part; it never reaches over an edge."""
    operand, block, start = call.needed("self"), call.needed("src"), call.needed("index")
    if operand.rank != block.rank:
        raise NoRuleError("a block with another number of axes")
    if isinstance(start.owner, Own):
        raise NoRuleError("where it writes depends on samples")
    part = [axis for axis in range(operand.rank) if operand.shape[axis] != block.shape[axis]]
    if any(isinstance(one.owner, Own) and one.owner.axis in part for one in (operand, block)):
        raise NoRuleError("it writes to some of the samples")
    # The block may stand at any place of an axis that it does not fill: nothing there tells where a value came from.
    flat = tuple(1 if axis in part else size for axis, size in enumerate(block.shape))
    base = operand.owner if isinstance(operand.owner, Own) else Free(operand.owner.uniform, count=operand.owner.count)
    found = pointwise.joined([Operand(base, operand.shape), Operand(block.owner, flat)], operand.shape)
    count = found.count or start.owner.count or any_of_batch(operand.shape[axis] for axis in part)
    if isinstance(found, Own):
        return replace(found, count=count)
    return Free(found.uniform - frozenset(part), count=count)


def segments(call: Call) -> Clear:
    """``UnsortedSegmentSum`` and its kin: rows are added up that bear the same number."""
    operand, index = call.needed("self"), call.needed("index")
    if isinstance(index.owner, Own):
        raise MeetError("samples with the same index are summed")
    if isinstance(operand.owner, Own):
        if operand.owner.axis < index.rank:
            raise NoRuleError("it sums samples by index")
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
