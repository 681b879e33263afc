"""Values that share their elements: a write to one shows in all of them.

A view keeps which operator made it of what. A write goes up to the value that owns the memory, and from there every
view is made again. Where a view's owner does not tell how the whole of it is owned, the whole becomes Unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from kmr_cli.proof.owners import Each, Free, Operand, Own, Owner, Unknown, Unowned, varies
from kmr_cli.proof.sizes import Shape, Size, any_of_batch

Make = Callable[[Owner], Owner]
"""From the owner of what a view looks at to the view's own."""


@dataclass(frozen=True)
class _View:
    of: str
    make: Make
    certain: bool


class Aliases:
    """Who shares memory with whom.

    Args:
        owners: of every value; writes change it.
        shape: of a value.
        batch: the number of samples.
    """

    def __init__(self, owners: dict[str, Owner], shape: Callable[[str], Shape | None], batch: Size) -> None:
        self._owners, self._shape, self._batch = owners, shape, batch
        self._views: dict[str, _View] = {}
        self._group: dict[str, list[str]] = {}

    def root(self, name: str) -> str:
        """The value whose memory this one looks at."""
        while name in self._views:
            name = self._views[name].of
        return name

    def add(self, name: str, of: str, make: Make, *, certain: bool) -> None:
        """Note a view.

        Args:
            name: of the view.
            of: what it looks at.
            make: its rule.
            certain: whether it always shares memory; a reshape may have to copy.
        """
        seen = of
        while seen in self._views and seen != name:
            seen = self._views[seen].of
        if seen == name:  # a damaged file, in which a value is made of itself
            return
        self._views[name] = _View(of, make, certain)
        self._group.setdefault(self.root(of), []).append(name)

    def write(self, name: str, owner: Owner) -> None:
        """A value is overwritten in place, wholly or in part, and is the owner's from now on."""
        above = []
        while name in self._views:
            view = self._views[name]
            whole = self._owner(view.of)
            owner = self._lifted(view, whole, owner, self._shape(name))
            above.append(name)
            name = view.of
        self._owners[name] = owner
        for one in self._group.get(name, ()):
            view = self._views[one]
            fresh = view.make(self._owner(view.of))
            if not view.certain and one not in above and fresh != self._owner(one):
                fresh = _lost("it may or may not share the memory that was written to")
            self._owners[one] = fresh

    def _owner(self, name: str) -> Owner:
        return self._owners.get(name, _lost(f"no operator produces {name!r}"))

    def poison(self, name: str, reason: str) -> None:
        """Nothing is known any more of whatever shares memory with a value."""
        root = self.root(name)
        for one in (root, *self._group.get(root, ())):
            self._owners[one] = _lost(reason)

    def _lifted(self, view: _View, whole: Owner, new: Owner, shape: Shape | None) -> Owner:
        """The owner of all that a view looks at, after the view was overwritten."""
        around = self._shape(view.of)
        if isinstance(new, Unowned):
            return new
        if isinstance(whole, Unowned) or around is None or shape is None:
            return whole if isinstance(whole, Unowned) else _lost("the file does not declare its shape")
        if isinstance(new, Each) or isinstance(whole, Each):
            return _lost("it is one sample's in a loop over all of them")
        if not view.certain:
            return _lost("it is written to through what may be a copy of it")
        if isinstance(whole, Own):
            return _into_owned(view, whole, new, shape)
        if isinstance(new, Free):
            return Free(count=True if whole.count or new.count else any_of_batch(around))
        for axis, length in enumerate(around):
            guess = Own(axis)
            if length == self._batch and _same(view.make(guess), new):
                place = new.place or varies(Operand(whole, around), axis)
                return replace(guess, place=place, count=new.count or whole.count)
        return _lost("only a part of it is written to, and that part does not tell whose the whole is")


def _into_owned(view: _View, whole: Own, new: Own | Free, shape: Shape) -> Owner:
    """What a value that belongs to samples becomes where a part of it is overwritten."""
    seen = view.make(whole)
    if not isinstance(seen, Own):
        return _lost("a part of it is written to that does not belong to all samples alike")
    if isinstance(new, Free):
        place = varies(Operand(new, shape), seen.axis)
        return replace(whole, place=whole.place or place, count=whole.count or new.count)
    if seen.pattern != new.pattern:
        return _lost("what is written to it belongs to the samples in a different order")
    return replace(whole, place=whole.place or new.place, count=whole.count or new.count)


def _same(owner: Owner, new: Own) -> bool:
    return isinstance(owner, Own) and owner.pattern == new.pattern


def _lost(reason: str) -> Unknown:
    return Unknown(reason)
