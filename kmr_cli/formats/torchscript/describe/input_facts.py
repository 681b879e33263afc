"""What has been found out about the inputs of a model, and which values in its code are still an input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kmr_cli.records import Presumable, Shape, TensorSpec


@dataclass
class InputFacts:
    """One input tensor of the model, and what has been found out about it.

    A fact is *firm* if every run meets the operator that shows it; otherwise (a branch, a loop, what such a layer is
    mostly fed) it is presumed: data may contradict it, and a firm fact replaces it.

    Attributes:
        name: of the input.
        rank: number of dimensions, or None.
        sizes: of the dimensions found, by axis; a negative axis counts from the end.
        dtype: or None.
        limit: integers must lie below it, or None.
        whole: its values are cast to integers.
        firm: which of these are firm: ``rank``, ``dtype``, ``limit``, and the axes of sizes.
        contradictory: two rules disagreed, so that nothing is said about the shape.
    """

    name: str
    rank: int | None = None
    sizes: dict[int, int] = field(default_factory=dict)
    dtype: str | None = None
    limit: int | None = None
    whole: bool = False
    firm: set[str | int] = field(default_factory=set)
    contradictory: bool = False

    def spec(self) -> TensorSpec:
        """The input as far as the facts go. The shape is None unless at least the rank is known."""
        shape = self._shape()
        known: dict[Presumable, tuple[bool, bool]] = {
            "rank": (shape is not None, "rank" in self.firm),
            "sizes": (shape is not None and any(shape), self.firm.issuperset(self._sizes())),
            "dtype": (self.dtype is not None, "dtype" in self.firm),
            "limit": (self.limit is not None, "limit" in self.firm),
        }
        presumed = tuple(part for part, (told, firm) in known.items() if told and not firm)
        whole = self.whole and (self.dtype is None or self.dtype.startswith(("float", "bfloat")))
        return TensorSpec(self.name, shape, self.dtype, self.limit, presumed=presumed, whole=whole)

    def learn_rank(self, rank: int, *, firm: bool) -> None:
        """Note the number of dimensions."""
        if self.rank is None or self.rank == rank:
            self.rank = rank
        elif firm and "rank" not in self.firm:
            self.rank = rank
            self.sizes.clear()  # they may have been counted with the other rank
            self.firm = {part for part in self.firm if isinstance(part, str)}
        elif firm or "rank" not in self.firm:
            self.contradictory = True
            return
        else:
            return
        if firm:
            self.firm.add("rank")

    def learn_size(self, axis: int, size: int, *, firm: bool) -> None:
        """Note the size of one dimension."""
        if self.sizes.get(axis, size) != size:
            if axis in self.firm and not firm:
                return
            if axis in self.firm or not firm:
                self.contradictory = True
                return
        self.sizes[axis] = size
        if firm:
            self.firm.add(axis)

    def learn_dtype(self, dtype: str, *, firm: bool) -> None:
        """Note the dtype."""
        if self.dtype is None or (firm and "dtype" not in self.firm):
            self.dtype = dtype
            if firm:
                self.firm.add("dtype")

    def learn_limit(self, limit: int, *, firm: bool) -> None:
        """Note what integers must lie below."""
        if self.limit is None or (firm and "limit" not in self.firm):
            self.limit = limit
            if firm:
                self.firm.add("limit")
        elif firm == ("limit" in self.firm):
            self.limit = min(limit, self.limit)

    def _sizes(self) -> dict[int, int]:
        """Firm ones, or if there are none, presumed ones: a shape tells one kind only."""
        return {axis: size for axis, size in self.sizes.items() if axis in self.firm} or self.sizes

    def _shape(self) -> Shape | None:
        if self.rank is None or self.contradictory:
            return None
        shape: list[int | None] = [None] * self.rank
        for axis, size in self._sizes().items():
            place = axis if axis >= 0 else axis + self.rank
            if not 0 <= place < self.rank or shape[place] not in (None, size):
                return None
            shape[place] = size
        if shape:
            shape[0] = None  # samples lie along axis 0, whatever a weight happens to match there
        return tuple(shape)


@dataclass(frozen=True)
class Tracked:
    """A tensor whose axes are those of an input, permuted or with some added.

    Attributes:
        facts: of the input.
        origin: maps an axis of this tensor (not negative) to the input's, None for one that was added.
        added: how many axes were added.
        same_ends: the last axis is the input's last one.
        same_dtype: the tensor still has the input's dtype.
        same_numbers: its elements are the input's, though perhaps of another dtype.
        whole: every element of the input is in it.
        last: size of the last axis, where a matrix product with a weight made it.
    """

    facts: InputFacts
    origin: Callable[[int], int | None] = lambda axis: axis
    added: int = 0
    same_ends: bool = True
    same_dtype: bool = True
    same_numbers: bool = True
    whole: bool = True
    last: int | None = None

    @property
    def rank(self) -> int | None:
        """Number of dimensions of this tensor, if known."""
        return None if self.facts.rank is None else self.facts.rank + self.added

    def learn_rank(self, rank: int, *, firm: bool) -> None:
        """Note that this tensor has ``rank`` dimensions."""
        known = rank - self.added
        if known < 1:
            self.facts.contradictory = True
        else:
            self.facts.learn_rank(known, firm=firm)

    def learn_size(self, axis: int, size: int, *, firm: bool) -> None:
        """Note the size of one dimension of this tensor."""
        if axis < 0 and self.rank is not None:
            axis += self.rank
        from_the_end = axis if self.same_ends else None
        place = self.origin(axis) if axis >= 0 else from_the_end
        if place is not None:
            self.facts.learn_size(place, size, firm=firm)

    def learn_dtype(self, dtype: str | None, *, firm: bool) -> None:
        """Note the dtype, if this tensor still has the input's."""
        if dtype is not None and self.same_dtype:
            self.facts.learn_dtype(dtype, firm=firm)
