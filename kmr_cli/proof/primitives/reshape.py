"""The same elements in the same order under another shape; sizes one longer or shorter; copies along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from kmr_cli.proof.call import Call, Rule
from kmr_cli.proof.owners import Clear, Free, MeetError, NoRuleError, Operand, Own, varies
from kmr_cli.proof.sizes import Shape, Size, any_of_batch, plain, product, quotient


def reshaped(operand: Operand, shape: Shape, batch: Size) -> Clear:
    """The owner after a reshape, which keeps the order of all elements."""
    if isinstance(operand.owner, Free):
        return _free(operand.owner, operand.shape, shape)
    return _owned(operand.owner, operand.shape, shape, batch)


def _owned(owner: Own, before: Shape, after: Shape, batch: Size) -> Own:
    """Two numbers stay: how many blocks stand before, and how many elements in a row belong to one sample."""
    blocks = product(before[: owner.axis]) * owner.outer
    run = owner.inner * product(before[owner.axis + 1 :])
    if batch == 1:
        raise NoRuleError("a batch of one sample cannot be distinguished from other axes of size 1")
    for axis, length in enumerate(after):
        outer, inner = quotient(blocks, product(after[:axis])), quotient(run, product(after[axis + 1 :]))
        if outer is not None and inner is not None and length == outer * batch * inner:
            return replace(owner, axis=axis, outer=outer, inner=inner)
    if not plain((*before, *after)):
        raise NoRuleError("the sizes do not show which axis carries the samples after the reshape")
    raise MeetError(f"a reshape from {_words(before)} to {_words(after)} splits samples")


def _words(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))})"


def _free(owner: Free, before: Shape, after: Shape) -> Free:
    uniform: set[int] = set()
    index, count, period = None, owner.count, None
    for old, new in _groups(before, after):
        long_old = [axis for axis in old if before[axis] != 1]
        long_new = [axis for axis in new if after[axis] != 1]
        uniform.update(axis for axis in new if after[axis] == 1)
        again = _again(owner, [(axis, before[axis]) for axis in long_old])
        if all(axis in owner.uniform for axis in long_old):
            uniform.update(new)
            continue
        if again is not None and len(long_new) == 1:
            period = (long_new[0], again)
        elif again is not None and long_new and product([after[axis] for axis in long_new[1:]]) == again:
            uniform.add(long_new[0])
        if len(long_old) == len(long_new) == 1:
            index = long_new[0] if owner.index == long_old[0] else index
        elif any_of_batch([before[axis] for axis in long_old[1:]] + [after[axis] for axis in long_new[1:]]):
            count = True  # how far apart elements stand depends on the number of samples
    return Free(frozenset(uniform), index, count, period=period)


def _again(owner: Free, axes: Sequence[tuple[int, Size]]) -> Size | None:
    """After how many elements of these axes, one after the other, the same comes again; None where that isn't known."""
    if len(axes) == 1:
        return owner.period[1] if owner.period is not None and owner.period[0] == axes[0][0] else None
    rest = list(axes)
    while rest and rest[0][0] in owner.uniform:
        del rest[0]
    found = product([size for _, size in rest])
    return found if rest and len(rest) < len(axes) and not any_of_batch((found,)) else None


def _groups(before: Shape, after: Shape) -> list[tuple[list[int], list[int]]]:
    """Axes that become each other: cut wherever as many elements stand before the cut in both shapes."""
    cuts: list[tuple[int, int]] = [(0, 0)]
    ends = {product(after[:place]): place for place in reversed(range(len(after) + 1))}
    for place in range(1, len(before)):
        there = ends.get(product(before[:place]))
        if there is not None and there > cuts[-1][1]:
            cuts.append((place, there))
    cuts.append((len(before), len(after)))
    return [(list(range(a, c)), list(range(b, d))) for (a, b), (c, d) in pairwise(cuts)]


def reshape(name: str = "self") -> Rule:
    """A rule: the file tells the new shape."""

    def rule(call: Call) -> Clear:
        return reshaped(call.needed(name), call.shape, call.batch)

    return rule


def expanded(operand: Operand, shape: Shape) -> Clear:
    """The owner after axes of size 1 are spread, and axes are added in front."""
    shift = len(shape) - operand.rank
    if shift < 0:
        raise NoRuleError("it has fewer axes than before")
    if isinstance(operand.owner, Own):
        return replace(operand.owner, axis=operand.owner.axis + shift)
    uniform = {axis for axis in range(len(shape)) if axis < shift or not varies(operand, axis - shift)}
    index = operand.owner.index
    if index is not None:  # 0 alone, spread over many places, is 0 everywhere
        index = index + shift if operand.shape[index] == shape[index + shift] else None
    period = operand.owner.period
    moved = None if period is None or operand.shape[period[0]] == 1 else (period[0] + shift, period[1])
    return Free(frozenset(uniform), index, operand.owner.count, period=moved)


def expand(call: Call) -> Clear:
    """A rule for ``expand``."""
    return expanded(call.needed("self"), call.shape)


def tiled(operand: Operand, repeats: tuple[Size, ...], shape: Shape) -> Clear:
    """All of it again and again along each axis."""
    shift = len(shape) - operand.rank
    if shift < 0 or len(repeats) != len(shape):
        raise NoRuleError("it repeats a different number of axes than it has")
    if isinstance(operand.owner, Own):
        axis = operand.owner.axis + shift
        return replace(operand.owner, axis=axis, outer=operand.owner.outer * repeats[axis])
    kept = expanded(operand, shape)
    assert isinstance(kept, Free)
    # An axis that is added in front and repeated holds the same everywhere; one of size 1 as well.
    again = [
        (axis, operand.shape[axis - shift])
        for axis in range(shift, len(shape))
        if repeats[axis] != 1 and varies(operand, axis - shift)
    ]
    if not again:
        return kept
    count = any_of_batch(length for _, length in again)  # what comes the second time depends on how long the first is
    return Free(kept.uniform, kept.index, kept.count or count, period=None if count else again[0])


def repeated(operand: Operand, axis: int, times: Size) -> Clear:
    """Every element several times in a row along an axis."""
    if isinstance(operand.owner, Own):
        if operand.owner.axis == axis:
            return replace(operand.owner, inner=operand.owner.inner * times)
        return operand.owner
    if varies(operand, axis):
        return Free(operand.owner.uniform - {axis}, count=operand.owner.count or any_of_batch((times,)))
    return replace(operand.owner, index=None)
