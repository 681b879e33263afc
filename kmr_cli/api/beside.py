"""A model fails on a batch that the one it is compared with takes: at which place, in both of them."""

from __future__ import annotations

from collections.abc import Callable

from kmr_cli.errors import KmrError, ModelRunError
from kmr_cli.records import Snapshot


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
        found = ModelRunError(f"{failure.message}; {there.path} takes this batch{_place(failure, there)}", failure.hint)
        found.layer, found.after = failure.layer, failure.after
        raise found from failure


def _place(failure: ModelRunError, there: Snapshot) -> str:
    """Where the other model is when this one fails, as far as it has layers of the same names."""
    layers = [tap.layer for tap in there.taps]
    if failure.layer is not None and failure.layer in layers:
        return f", and runs {failure.layer!r}"
    if failure.after is None or failure.after not in layers:
        return ""
    last = len(layers) - 1 - layers[::-1].index(failure.after)
    following = next((layer for layer in layers[last + 1 :] if layer), None)
    return "" if following is None else f", and {following!r} comes after {failure.after!r} there"
