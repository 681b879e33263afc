"""Layers that do the work of several: a convolution into which the normalization after it was folded."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from kmr_cli.compare.calls import Call, Calls, Match
from kmr_cli.compare.likeness import agrees, apart
from kmr_cli.records import TapSketch

_CLEARLY = 0.5
"""Of how far a call is from its counterpart, what a later one may be at most to be taken for that."""


def fold(
    here: Calls,
    there: Calls,
    found: Match,
    normalizes: tuple[Callable[[Call], bool], ...],
    *,
    by_operators: bool = False,
    same_kind: bool = True,
) -> tuple[tuple[tuple[Call, ...], tuple[Call, ...]], ...]:
    """Match a call that returns what a later call without counterpart returned before with that one.

    Where the parts of a folded layer kept a name, the path brings together what does not correspond: the convolution
    with the normalization in it, and the bare one. Where the weights have changed as well, it is the one that comes
    nearest.

    Args:
        here: calls of the model, in the order in which they ran.
        there: those of the baseline.
        found: what has been matched; it is corrected.
        normalizes: whether a call of (model, baseline) is a normalization, where its kind is known.
        by_operators: the layers of one of both are operators, as of a frozen model, into which these always go.
        same_kind: both come from one framework; others cut a network into layers differently, and of theirs only
            normalizations are known to be folded.

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
        # Where what comes before differs already, figures that agree say little: only normalizations are looked for.
        before, alike = alike, agrees(here[mine], there[yours])
        if alike or (not same_kind and (normalizes[0](mine) or normalizes[1](yours))):
            continue
        if not (same_kind and before) and after_here.get(mine) and after_there.get(yours):
            continue  # what normalizes here may be the operators there
        own = apart(here[mine], there[yours])
        near = partial(_nearest, own=own, by_operators=by_operators)
        after = after_there.get(yours, ())
        after = after if same_kind and before else _first(after, normalizes[1])
        later = _last_like(here[mine], there, after) if before else ()
        alike = alike or bool(later)
        later = later or near(here[mine], there, after, normalizes[1])
        if later:
            found[mine] = later[-1]
            folded.append(((mine,), (yours, *later)))
            continue
        after = after_here.get(mine, ())
        after = after if same_kind and before else _first(after, normalizes[0])
        later = _last_like(there[yours], here, after) if before else ()
        alike = alike or bool(later)
        later = later or near(there[yours], here, after, normalizes[0])
        if later:
            del found[mine]
            found[later[-1]] = yours
            folded.append(((mine, *later), (yours,)))
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


def _first(later: Sequence[Call], normalizes: Callable[[Call], bool]) -> tuple[Call, ...]:
    """The calls up to the first that normalizes; empty where none does."""
    return next((tuple(later[: place + 1]) for place, call in enumerate(later) if normalizes(call)), ())


def _nearest(
    taps: Sequence[TapSketch],
    calls: Calls,
    later: Sequence[Call],
    normalizes: Callable[[Call], bool],
    *,
    own: float,
    by_operators: bool,
) -> tuple[Call, ...]:
    """The calls up to the one that returns what comes nearest to these taps, clearly nearer than ``own``.

    A normalization need only come nearer, and nothing of that where operators are the layers.
    """
    distances = [apart(taps, calls[call]) for call in later]
    for place, (call, distance) in enumerate(zip(later, distances, strict=True)):
        if distance > min(distances) or math.isinf(distance):
            continue
        most = own * _CLEARLY if not normalizes(call) else math.inf if by_operators else own
        return tuple(later[: place + 1]) if distance < most else ()
    return ()
