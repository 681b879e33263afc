"""Which layer of one model is which layer of another: by path, then by order, shape and values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kmr_cli.compare.likeness import PATH, agrees, scores
from kmr_cli.formats.facts import same_family
from kmr_cli.records import Snapshot, TapSketch

Call = tuple[str, int]
"""(layer, call)"""

_MOST = 2000


@dataclass(frozen=True)
class Alignment:
    """Calls of layers that correspond.

    Attributes:
        pairs: (call in the model, call in the baseline), in the order of the model; the outputs (``""``) included.
        renamed: those pairs whose paths differ.
        added: calls that only the model has.
        removed: calls that only the baseline has.
        same_kind: both come from the same framework, so that paths mean the same.
    """

    pairs: tuple[tuple[Call, Call], ...]
    renamed: tuple[tuple[Call, Call], ...]
    added: tuple[Call, ...]
    removed: tuple[Call, ...]
    same_kind: bool


def align(model: Snapshot, baseline: Snapshot) -> Alignment:
    """Match the calls of layers of two models.

    Within one framework equal paths are the same layer, and of what is left, layers of equal shapes at the same place
    among the others are matched in their order. Between two frameworks paths are only a hint: the alignment that keeps
    the order and brings together as many calls with agreeing figures (minimum, maximum, mean, rms: they do not depend
    on the layout), paths and shapes as possible.
    """
    same_kind = same_family(model.format, baseline.format)
    here, there = _calls(model.taps), _calls(baseline.taps)
    found: dict[Call, Call] = {}
    if same_kind or len(here) * len(there) > _MOST * _MOST:
        found = {call: call for call in here if call in there}
    known = {layer for layer, _ in found}
    left = [call for call in here if call[0] not in known and call[0]]
    right = [call for call in there if call[0] not in known and call[0]]
    if len(left) * len(right) <= _MOST * _MOST:
        places = (_neighbours(here, found), _neighbours(there, {call: call for call in found.values()}))
        found |= _in_order(left, right, here, there, places)
        if not same_kind:
            # The other framework may run branches in another order: one name and one content are the same layer.
            equal = [call for call in left if call in there and agrees(here[call], there[call])]
            if any(found.get(call) != call for call in equal):
                found = {call: call for call in equal}
                left, right = ([call for call in calls if call not in found] for calls in (left, right))
                found |= _in_order(left, right, here, there, places)
    if ("", 0) in here and ("", 0) in there:
        found["", 0] = ("", 0)
    pairs = tuple((call, found[call]) for call in here if call in found)
    taken = set(found.values())
    return Alignment(
        pairs,
        tuple(pair for pair in pairs if pair[0] != pair[1]),
        tuple(call for call in here if call not in found),
        tuple(call for call in there if call not in taken),
        same_kind,
    )


def _calls(taps: Sequence[TapSketch]) -> dict[Call, list[TapSketch]]:
    calls: dict[Call, list[TapSketch]] = {}
    for tap in taps:
        calls.setdefault((tap.layer, tap.call), []).append(tap)
    return calls


def _neighbours(calls: Iterable[Call], found: dict[Call, Call]) -> dict[Call, tuple[Call | None, Call | None]]:
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


def _in_order(
    left: Sequence[Call], right: Sequence[Call], here: dict[Call, list[TapSketch]], there: dict[Call, list[TapSketch]],
    places: tuple[dict[Call, tuple[Call | None, Call | None]], dict[Call, tuple[Call | None, Call | None]]],
) -> dict[Call, Call]:  # fmt: skip
    """The best alignment that keeps the order of both (Needleman and Wunsch, 1970, without a price for gaps)."""
    if not left or not right:
        return {}
    score = scores([here[call] for call in left], [there[call] for call in right])
    score += PATH * (np.array([[mine == yours for yours in right] for mine in left]))
    beside = np.zeros(score.shape, bool)
    for side in (0, 1):
        ids: dict[Call | None, int] = {}
        first, second = (
            np.array([ids.setdefault(place[call][side], len(ids)) for call in calls])
            for place, calls in zip(places, (left, right), strict=True)
        )
        beside |= first[:, None] == second[None, :]
    score *= beside
    rows, columns = score.shape
    best = np.zeros((rows + 1, columns + 1), np.int64)
    for row in range(rows):
        # A running maximum takes care of gaps along the row.
        best[row + 1, 1:] = np.maximum(best[row, 1:], best[row, :-1] + score[row])
        np.maximum.accumulate(best[row + 1], out=best[row + 1])
    found = {}
    row, column = rows, columns
    while row and column:
        if best[row, column] == best[row - 1, column]:
            row -= 1
        elif best[row, column] == best[row, column - 1]:
            column -= 1
        else:
            row, column = row - 1, column - 1
            found[left[row]] = right[column]
    return found
