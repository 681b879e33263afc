"""A model fails on a batch that the one it is compared with takes: at which place, in both of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import fmean

from kmr_cli.errors import KmrError, ModelRunError
from kmr_cli.records import Snapshot, TapSketch

_CLOSE = 1e-4
"""As near as figures of two frameworks come, relatively."""


def or_beside(run: Callable[[], Snapshot], other: Callable[[], Snapshot]) -> Snapshot:
    """The run of a model.

    Args:
        run: it.
        other: the run of the model that it is compared with, asked for only if ``run`` fails.

    Raises:
        ModelRunError: that of ``run``; where ``other`` takes the batch it says so, and what stands at that place there.
    """
    try:
        return run()
    except ModelRunError as failure:
        try:
            there = other()
        except KmrError:
            raise failure from None
        place = _place(failure, there)
        raise failure.retold(f"{failure.message}; {there.path} takes this batch{place}") from failure


def _place(failure: ModelRunError, there: Snapshot) -> str:
    """Where the other model is when this one fails: by the names of its layers, or by what the last one before left."""
    layers = [tap.layer for tap in there.taps]
    if failure.layer is not None and failure.layer in layers:
        return f", and runs {failure.layer!r}"
    named = failure.after is not None and failure.after in layers
    places = [place for place, tap in enumerate(there.taps) if _is_last(tap, failure, by_name=named)]
    if not places:
        return ""
    last = max(places) if named else min(places)  # what only rearranges values leaves the same figures
    following = next((layer for layer in layers[last + 1 :] if layer not in ("", layers[last])), None)
    if following is None:
        return ""
    same = "" if named else ", which leaves the same values,"
    return f", and {following!r} comes after {layers[last]!r}{same} there"


def _is_last(tap: TapSketch, failure: ModelRunError, *, by_name: bool) -> bool:
    """Whether a tap of the other model is where this one still was: of that name, or with the same figures."""
    if by_name:
        return tap.layer == failure.after
    if failure.left is None or not tap.layer or not tap.port.startswith("out"):
        return False
    parts = [(one.minimum, one.maximum, one.mean, one.rms) for one in tap.samples]
    told = [part for part in parts if None not in part]
    if not told:
        return False
    lows, highs, means, squares = zip(*told, strict=True)
    found = min(lows), max(highs), fmean(means), math.sqrt(fmean(one * one for one in squares))
    return all(math.isclose(one, other, rel_tol=_CLOSE) for one, other in zip(found, failure.left, strict=True))
