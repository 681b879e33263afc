"""``x[a:b:c, None, ..., k]`` as TensorFlow writes it: three lists of numbers, and masks that say how each is meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kmr_cli.proof.owners import Clear, Free, NoRuleError, Operand, Own
from kmr_cli.proof.primitives import join, permute
from kmr_cli.proof.sizes import Range, Shape, Size, any_of_batch, floor_quotient, larger, least, most, smaller

_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


@dataclass(frozen=True)
class Cut:
    """What happens to one axis.

    Attributes:
        axis: of the operand; None for one that is added.
        start, end: None where open.
        step: from one place to the next.
        single: whether one place is taken, and the axis goes.
    """

    axis: int | None
    start: Size | None = None
    end: Size | None = None
    step: int = 1
    single: bool = False


class Cuts:
    """What stands between the brackets.

    Args:
        begin, end, strides: one number for each part of the index.
        masks: bits that say which parts are open, an ellipsis, a new axis or a single place.
    """

    def __init__(
        self, begin: Sequence[Size], end: Sequence[Size], strides: Sequence[int], masks: Mapping[str, object]
    ) -> None:
        self._begin, self._end, self._strides = begin, end, strides
        if not len(begin) == len(end) == len(strides):
            raise ValueError("its starts, ends and steps do not fit together")
        self._masks = {name: mask for name in _MASKS if isinstance(mask := masks.get(name, 0), int)}

    def _has(self, name: str, part: int) -> bool:
        return bool(self._masks.get(f"{name}_mask", 0) >> part & 1)

    def index(self) -> tuple[object, ...]:
        """As an index of a NumPy array."""
        found: list[object] = []
        for part, (start, end, step) in enumerate(zip(self._begin, self._end, self._strides, strict=True)):
            if self._has("ellipsis", part):
                found.append(Ellipsis)
            elif self._has("new_axis", part):
                found.append(None)
            elif self._has("shrink_axis", part):
                found.append(start)
            else:
                open_start, open_end = self._has("begin", part), self._has("end", part)
                found.append(slice(None if open_start else start, None if open_end else end, step))
        return tuple(found)

    def of(self, rank: int) -> Iterator[Cut]:
        """What happens to every axis of an operand, in the order of the result's axes."""
        taken = sum(
            not self._has("new_axis", part) and not self._has("ellipsis", part) for part in range(len(self._begin))
        )
        axis = 0
        for part, (start, end, step) in enumerate(zip(self._begin, self._end, self._strides, strict=True)):
            if self._has("ellipsis", part):
                yield from (Cut(one) for one in range(axis, axis + rank - taken))
                axis += rank - taken
            elif self._has("new_axis", part):
                yield Cut(None)
            elif self._has("shrink_axis", part):
                yield Cut(axis, start, single=True)
                axis += 1
            else:
                first = None if self._has("begin", part) else start
                last = None if self._has("end", part) else end
                yield Cut(axis, first, last, step)
                axis += 1
        yield from (Cut(one) for one in range(axis, rank))


def length(cut: Cut, whole: Size, ranges: Mapping[str, Range]) -> Size | None:
    """How long an axis is after the cut; None where nothing tells."""
    if cut.single:
        return 1
    if cut.start is None and cut.end is None:
        return whole if abs(cut.step) == 1 else floor_quotient(whole + (abs(cut.step) - 1), abs(cut.step))
    if isinstance(whole, int) and isinstance(cut.start, int | None) and isinstance(cut.end, int | None):
        return len(range(whole)[cut.start : cut.end : cut.step])
    if cut.step < 1:
        return None
    start = _within(cut.start if cut.start is not None else 0, whole, ranges)
    end = _within(cut.end if cut.end is not None else whole, whole, ranges)
    if start is None or end is None:
        return None
    kept = larger(end - start, 0, ranges)
    return kept if cut.step == 1 else floor_quotient(kept + (cut.step - 1), cut.step)


def _within(place: Size, whole: Size, ranges: Mapping[str, Range]) -> Size | None:
    """A place counted from the front, and no further than the end."""
    bound, top = least(place, ranges), most(place, ranges)
    if bound is not None and bound >= 0:
        return smaller(place, whole, ranges)
    if top is not None and top < 0:
        return larger(whole + place, 0, ranges)
    return None


def lengths(cuts: Sequence[Cut], before: Shape, ranges: Mapping[str, Range]) -> list[Size | None]:
    """How long every axis of the operand is after the cuts; 1 for those of which one place is taken."""
    found: list[Size | None] = list(before)
    for cut in cuts:
        if cut.axis is not None:
            found[cut.axis] = length(cut, before[cut.axis], ranges)
    return found


def cut_out(operand: Operand, cuts: Sequence[Cut], ranges: Mapping[str, Range], batch: Size) -> Clear:
    """The owner of what is left."""
    current = operand
    after = lengths(cuts, operand.shape, ranges)
    for cut in cuts:
        if cut.axis is None or cut.single or (cut.start is None and cut.end is None and cut.step == 1):
            continue
        kept = after[cut.axis]
        if kept is None:
            raise NoRuleError("the sizes do not tell how much it takes")
        shape = (*current.shape[: cut.axis], kept, *current.shape[cut.axis + 1 :])
        if cut.step < 0:
            owner = join.moved_along(current, (cut.axis,), "it reverses the order of the samples")
            count = any_of_batch((operand.shape[cut.axis],))
            owner = replace(owner, count=owner.count or count)
        else:
            start = cut.start if cut.start is not None else 0
            owner = join.sliced(current, cut.axis, start, cut.step, shape, batch)
        current = Operand(owner, shape)
    return _arranged(current, cuts, batch)


def _arranged(operand: Operand, cuts: Sequence[Cut], batch: Size) -> Clear:
    """The owner after single places are taken, and axes are added."""
    current = operand
    for cut in reversed(cuts):  # from the last axis on, so that the numbers of those before stay
        if cut.single and cut.axis is not None:
            from_end = not isinstance(cut.start, int) or cut.start < 0
            count = from_end and any_of_batch((current.shape[cut.axis],))
            owner = permute.without(current, cut.axis, batch, count=count)
            current = Operand(owner, (*current.shape[: cut.axis], *current.shape[cut.axis + 1 :]))
    place = 0
    owner = current.owner
    for cut in cuts:
        if cut.axis is None:
            owner = widened(owner, place)
        place += not cut.single
    return owner


def widened(owner: Clear, axis: int) -> Clear:
    """The owner after an axis of size 1 is added."""
    if isinstance(owner, Own):
        return replace(owner, axis=owner.axis + (axis <= owner.axis))
    index = None if owner.index is None else owner.index + (axis <= owner.index)
    return Free(frozenset({axis, *(one + (axis <= one) for one in owner.uniform)}), index, owner.count)
