"""Whose a value is: what the rules pass from operator to operator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from kmr_cli.proof.sizes import Shape, Size, quotient


@dataclass(frozen=True)
class Own:
    """Every element belongs to one sample: along ``axis`` the index is ``(o * B + b) * inner + i`` for sample ``b``.

    Attributes:
        axis: that carries the samples.
        outer: how many blocks of all samples stand one after the other (o runs over them).
        inner: how many neighbours in a row belong to one sample (i runs over them).
        place: whether values also depend on the sample's place in the batch.
        count: whether values also depend on the number of samples.
    """

    axis: int
    outer: Size = 1
    inner: Size = 1
    place: bool = False
    count: bool = False

    @property
    def pattern(self) -> tuple[int, Size, Size]:
        """Where the samples stand, whatever else the values depend on."""
        return self.axis, self.outer, self.inner


@dataclass(frozen=True)
class Free:
    """No sample's content is in it: weights, constants, sizes, positions.

    Attributes:
        uniform: axes along which all elements are the same.
        index: the axis along which it holds 0, 1, 2, … and nothing else varies; None for none.
        count: whether the element at some place depends on the number of samples.
        rounds: the loops from round to round of which it changes.
        period: (axis, length): along this axis the same comes again after so many places, as where a mask of one sample
            was repeated for all of them; None for none that is known.
    """

    uniform: frozenset[int] = frozenset()
    index: int | None = None
    count: bool = False
    rounds: frozenset[str] = frozenset()
    period: tuple[int, Size] | None = None


@dataclass(frozen=True)
class Each:
    """In a loop over the samples: all of it belongs to the one whose turn it is, number ``round // inner % batch``.

    Attributes:
        loop: that goes over them.
        outer, inner: as those of :class:`Own`.
        place: whether it also depends on the sample's place in the batch.
        count: whether it also depends on the number of samples.
    """

    loop: str
    outer: Size = 1
    inner: Size = 1
    place: bool = False
    count: bool = False

    @property
    def pattern(self) -> tuple[str, Size, Size]:
        """Which sample's it is, whatever else it depends on."""
        return self.loop, self.outer, self.inner


@dataclass(frozen=True)
class Unowned:
    """From some operator on no sample owns what it makes; everything computed from that carries the same value on.

    Attributes:
        reason: why.
        operator, kind: the node where it begins.
        layer, call: that it stands in.
    """

    reason: str
    operator: str = ""
    kind: str = ""
    layer: str = ""
    call: int = 0


class Meet(Unowned):
    """A rule says that samples meet here."""


class Unknown(Unowned):
    """No rule can tell."""


class Routed(Unknown):
    """No rule can tell, since what the samples hold decides which row goes where, as among experts."""


Owner: TypeAlias = "Own | Free | Each | Meet | Unknown"
Clear: TypeAlias = "Own | Free"
_Counted = TypeVar("_Counted", bound="Own | Free | Each")


class MeetError(Exception):
    """Raised by a rule: samples meet in this operator."""


class NoRuleError(Exception):
    """Raised by a rule: it does not cover this use of the operator."""


class RoutedError(NoRuleError):
    """Raised by a rule: what the samples hold decides which row goes where."""


@dataclass(frozen=True)
class Operand:
    """A tensor that an operator takes, with owners that its rule can work with."""

    owner: Clear
    shape: Shape

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)


def everywhere(rank: int) -> Free:
    """The same number at every place."""
    return Free(frozenset(range(rank)))


def counted(owner: _Counted, count: bool) -> _Counted:
    """The owner, with dependence on the number of samples added where it is true."""
    return replace(owner, count=True) if count and not owner.count else owner


def varies(operand: Operand, axis: int) -> bool:
    """Whether something that isn't a sample's may differ along an axis; counted from the end where it is negative."""
    axis = axis + operand.rank if axis < 0 else axis
    owner = operand.owner
    return isinstance(owner, Free) and axis >= 0 and operand.shape[axis] != 1 and axis not in owner.uniform


def tells_place(operand: Operand, axis: int, samples: Own) -> bool:
    """Whether what is nobody's differs from sample to sample where it meets theirs along an axis; from the end too.

    What comes again within the elements of every sample does not.
    """
    if not varies(operand, axis):
        return False
    period = operand.owner.period if isinstance(operand.owner, Free) else None
    again = period is not None and period[0] == (axis + operand.rank if axis < 0 else axis)
    return not (again and period is not None and quotient(samples.inner, period[1]) is not None)


def any_count(operands: Iterable[Operand]) -> bool:
    """Whether one of them depends on the number of samples."""
    return any(one.owner.count for one in operands)
