"""Outputs of one call that hold each other's values: the same tensors, in another order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from kmr_cli.compare.difference import TapDifference
from kmr_cli.compare.pair import Pair
from kmr_cli.evidence.taps import Tap
from kmr_cli.records import TapSketch

_BROKEN = ("off", "shape", "reordered")
_MOST = 64
"""Outputs of one call of which each is held against each."""


def put_in_order(
    pairs: Sequence[Pair], difference: Callable[[TapSketch, TapSketch], TapDifference]
) -> tuple[tuple[Pair, ...], dict[Tap, str]]:
    """The pairs, with outputs that stand in another order brought together, and where each of those stood.

    Args:
        pairs: in the order of the model.
        difference: how a tap of the model differs from one of the baseline.

    Returns:
        The pairs, and for every output of the model that was moved the baseline's port.
    """
    groups: dict[tuple[str, int], list[Pair]] = {}
    for pair in pairs:
        if pair.content.kind in _BROKEN and pair.model.port.startswith("out"):
            groups.setdefault(pair.model.tap[:2], []).append(pair)
    found: dict[Tap, Pair] = {}
    for group in groups.values():
        if 1 < len(group) <= _MOST:
            found |= _changed_places(group, difference)
    together = tuple(found.get(pair.model.tap, pair) for pair in pairs)
    return together, {tap: pair.baseline.port for tap, pair in found.items()}


def _changed_places(
    group: Sequence[Pair], difference: Callable[[TapSketch, TapSketch], TapDifference]
) -> dict[Tap, Pair]:
    """The outputs of one call that only change places among each other, each with the one that it agrees with."""
    found: dict[str, Pair] = {}  # the baseline's port that stands there -> the one that agrees
    taken = set()
    for pair in group:
        for other in group:
            if other is pair or other.baseline.port in taken:
                continue
            content = difference(pair.model, other.baseline)
            if content.kind in ("same", "close"):
                taken.add(other.baseline.port)
                found[pair.baseline.port] = replace(pair, baseline=other.baseline, content=content)
                break
    while found.keys() != (wanted := {pair.baseline.port for pair in found.values()}):
        found = {port: pair for port, pair in found.items() if port in wanted and pair.baseline.port in found}
    return {pair.model.tap: pair for pair in found.values()}
