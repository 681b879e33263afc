"""Which layer of one model is which layer of another: by path, then by order, shape and values."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from kmr_cli.compare.calls import Call as Call
from kmr_cli.compare.calls import Calls, Match
from kmr_cli.compare.folded import fold
from kmr_cli.compare.kinds import Kinds, kind
from kmr_cli.compare.likeness import PATH, agrees, scores
from kmr_cli.formats.facts import same_family
from kmr_cli.records import Snapshot, TapSketch

_MOST = 2000
_NUMBER = re.compile(r"_\d+$")


@dataclass(frozen=True)
class Alignment:
    """Calls of layers that correspond.

    Attributes:
        pairs: (call in the model, call in the baseline), in the order of the model; the outputs (``""``) included.
        renamed: those pairs whose paths differ.
        added: calls that only the model has.
        removed: calls that only the baseline has.
        same_kind: both come from the same framework, so that paths mean the same.
        by_operators: the layers of one of both are operators, as of a frozen model: paths mean nothing then.
        folded: calls that do the work of several, or several the work of one: (calls in the model, calls in the
            baseline). The last ones of both are a pair, the others have no counterpart.
    """

    pairs: tuple[tuple[Call, Call], ...]
    renamed: tuple[tuple[Call, Call], ...]
    added: tuple[Call, ...]
    removed: tuple[Call, ...]
    same_kind: bool
    by_operators: bool = False
    folded: tuple[tuple[tuple[Call, ...], tuple[Call, ...]], ...] = ()


def align(model: Snapshot, baseline: Snapshot, kinds: tuple[Kinds, Kinds] | None = None) -> Alignment:
    """Match the calls of layers of two models.

    Within one framework equal paths are the same layer, and of what is left, layers of equal shapes at the same place
    among the others are matched in their order. Between two frameworks paths are only a hint: the alignment that keeps
    the order and brings together as many calls with agreeing figures (minimum, maximum, mean, rms: they do not depend
    on the layout), paths, kinds and shapes as possible.

    Args:
        model: what is judged.
        baseline: what it should be like.
        kinds: the types of their layers, where they are known.
    """
    same_kind = same_family(model.format, baseline.format)
    here, there = _calls(model.taps), _calls(baseline.taps)
    mine, yours = kinds or ({}, {})
    by_operators = same_kind and _are_operators(here, mine) != _are_operators(there, yours)
    found = _by_path(here, there) if (same_kind and not by_operators) or _too_many(here, there) else {}
    left, right = _of_other_layers(here, found), _of_other_layers(there, found)
    if by_operators:
        left, right = _not_folded(left, right, mine, yours), _not_folded(right, left, yours, mine)
    if not _too_many(left, right):
        both = _Both(here, there, found, kinds)
        found = found | both.in_order(left, right)
        if not same_kind:
            found = both.uncrossed(left, right, found)
    normalizes = (partial(_normalizes, mine), partial(_normalizes, yours))
    folded = fold(here, there, found, normalizes, by_operators=by_operators, same_kind=same_kind)
    if ("", 0) in here and ("", 0) in there:
        found["", 0] = ("", 0)
    aligned = _alignment(here, there, found, same_kind=same_kind)
    return replace(aligned, folded=folded, by_operators=by_operators)


def _are_operators(calls: Calls, kinds: Kinds) -> bool:
    """Whether every layer is called after its own kind, numbered, as the operators of a frozen model are."""
    layers = {layer for layer, _ in calls if layer}
    return bool(layers) and all(_NUMBER.sub("", layer) == kinds.get(layer) for layer in layers)


def _not_folded(calls: list[Call], others: list[Call], kinds: Kinds, theirs: Kinds) -> list[Call]:
    """Without normalizations, where the other model has none: freezing folds them into what is before them."""
    if any(_normalizes(theirs, call) for call in others):
        return calls
    return [call for call in calls if not _normalizes(kinds, call)]


def _normalizes(kinds: Kinds, call: Call) -> bool:
    return kind(kinds.get(call[0], "")) == "batchnorm"


def _calls(taps: Sequence[TapSketch]) -> Calls:
    """The taps of every call, in the order in which they ran."""
    calls: Calls = {}
    for tap in taps:
        calls.setdefault((tap.layer, tap.call), []).append(tap)
    return calls


def _by_path(here: Calls, there: Calls) -> Match:
    return {call: call for call in here if call in there}


def _too_many(left: Collection[Call], right: Collection[Call]) -> bool:
    """Whether comparing each with each would take too long, and too much memory."""
    return len(left) * len(right) > _MOST * _MOST


def _of_other_layers(calls: Calls, found: Match) -> list[Call]:
    """The calls of layers that were not matched by their path; without the model's own ends."""
    known = {layer for layer, _ in found}
    return [call for call in calls if call[0] and call[0] not in known]


def _alignment(here: Calls, there: Calls, found: Match, *, same_kind: bool) -> Alignment:
    pairs = tuple((call, found[call]) for call in here if call in found)
    taken = set(found.values())
    return Alignment(
        pairs,
        tuple(pair for pair in pairs if pair[0] != pair[1]),
        tuple(call for call in here if call not in found),
        tuple(call for call in there if call not in taken),
        same_kind,
    )


class _Both:
    """The calls of two models, and between which matched ones every call stands.

    Args:
        here, there: of the model and of the baseline.
        found: what has been matched already.
        kinds: the types of their layers, where they are known.
    """

    def __init__(self, here: Calls, there: Calls, found: Match, kinds: tuple[Kinds, Kinds] | None) -> None:
        self._here, self._there, self._kinds = here, there, kinds or ({}, {})
        self._places = _neighbours(here, found), _neighbours(there, {call: call for call in found.values()})

    def in_order(self, left: Sequence[Call], right: Sequence[Call]) -> Match:
        """The best match of some calls of the model with some of the baseline that keeps the order of both."""
        if not left or not right:
            return {}
        mine, yours = (
            [kind(types.get(layer, "")) for layer, _ in calls]
            for types, calls in zip(self._kinds, (left, right), strict=True)
        )
        score = scores([self._here[call] for call in left], [self._there[call] for call in right], (mine, yours))
        score += PATH * np.array([[mine == yours for yours in right] for mine in left])
        score *= self._same_place(left, right)
        return {left[row]: right[column] for row, column in _best_in_order(score)}

    def uncrossed(self, left: Sequence[Call], right: Sequence[Call], found: Match) -> Match:
        """A match that the order alone gave, without what it tears apart where branches run in another order.

        One name and one content are the same layer.
        """
        equal = {call: call for call in left if call in self._there and agrees(self._here[call], self._there[call])}
        if all(found.get(call) == call for call in equal):
            return found
        left, right = ([call for call in calls if call not in equal] for calls in (left, right))
        return equal | self.in_order(left, right)

    def _same_place(self, left: Sequence[Call], right: Sequence[Call]) -> np.ndarray:
        """(left, right): whether two calls have the same matched call before them, or the same one after them."""
        beside = np.zeros((len(left), len(right)), bool)
        for side in (0, 1):
            ids: dict[Call | None, int] = {}
            first, second = (
                np.array([ids.setdefault(place[call][side], len(ids)) for call in calls])
                for place, calls in zip(self._places, (left, right), strict=True)
            )
            beside |= first[:, None] == second[None, :]
        return beside


def _neighbours(calls: Iterable[Call], found: Match) -> dict[Call, tuple[Call | None, Call | None]]:
    """For every call the nearest matched ones before and after it."""
    order = list(calls)
    result: dict[Call, tuple[Call | None, Call | None]] = {}
    before: Call | None = None
    for call in order:
        result[call] = before, None
        before = found.get(call, before)
    after: Call | None = None
    for call in reversed(order):
        result[call] = result[call][0], after
        after = found.get(call, after)
    return result


def _best_in_order(score: np.ndarray) -> list[tuple[int, int]]:
    """The alignment of rows and columns with the highest sum (Needleman and Wunsch, 1970, without a price for gaps).

    Args:
        score: int64, ``(rows, columns)``: what each pair adds.

    Returns:
        (row, column) of every pair, from the last to the first.
    """
    rows, columns = score.shape
    best = np.zeros((rows + 1, columns + 1), np.int64)
    for row in range(rows):
        # A running maximum takes care of gaps along the row.
        best[row + 1, 1:] = np.maximum(best[row, 1:], best[row, :-1] + score[row])
        np.maximum.accumulate(best[row + 1], out=best[row + 1])
    found = []
    row, column = rows, columns
    while row and column:
        if best[row, column] == best[row - 1, column]:
            row -= 1
        elif best[row, column] == best[row, column - 1]:
            column -= 1
        else:
            row, column = row - 1, column - 1
            found.append((row, column))
    return found
