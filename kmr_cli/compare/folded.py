"""Layers that do the work of several: a convolution into which the normalization after it was folded."""

from __future__ import annotations

from collections.abc import Sequence

from kmr_cli.compare.calls import Call, Calls, Match
from kmr_cli.compare.likeness import agrees
from kmr_cli.records import TapSketch


def fold(here: Calls, there: Calls, found: Match) -> tuple[tuple[tuple[Call, ...], tuple[Call, ...]], ...]:
    """Match a call that returns what a later call without counterpart returned before with that one.

    Where the parts of a folded layer kept a name, the path brings together what does not correspond: the convolution
    with the normalization in it, and the bare one.

    Args:
        here: calls of the model, in the order in which they ran.
        there: those of the baseline.
        found: what has been matched; it is corrected.

    Returns:
        What was folded: (calls in the model, calls in the baseline).
    """
    folded: list[tuple[tuple[Call, ...], tuple[Call, ...]]] = []
    after_here, after_there = (
        _alone_after(here, found),
        _alone_after(there, {call: mine for mine, call in found.items()}),
    )
    alike = True
    for mine, yours in [(call, found[call]) for call in here if call[0] and call in found]:
        # Where what comes before differs already, figures that agree say little.
        before, alike = alike, agrees(here[mine], there[yours])
        if alike or not before:
            continue
        later = _last_like(here[mine], there, after_there.get(yours, ()))
        if later:
            found[mine] = later[-1]
            folded.append(((mine,), (yours, *later)))
            alike = True
            continue
        later = _last_like(there[yours], here, after_here.get(mine, ()))
        if later:
            del found[mine]
            found[later[-1]] = yours
            folded.append(((mine, *later), (yours,)))
            alike = True
    return tuple(folded)


def _alone_after(calls: Calls, matched: Match) -> dict[Call, tuple[Call, ...]]:
    """For every matched call those without counterpart that ran right after it."""
    found: dict[Call, tuple[Call, ...]] = {}
    last: Call | None = None
    for call in calls:
        if call in matched:
            last = call
        elif last is not None and call[0]:
            found[last] = (*found.get(last, ()), call)
    return found


def _last_like(taps: Sequence[TapSketch], calls: Calls, later: Sequence[Call]) -> tuple[Call, ...]:
    """The calls up to the last one that returns the like of these taps; empty where none does."""
    for end in range(len(later), 0, -1):
        if agrees(taps, calls[later[end - 1]]):
            return tuple(later[:end])
    return ()
