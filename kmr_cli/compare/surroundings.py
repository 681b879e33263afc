"""What stands around a layer that differs: how the reader tells its own doing from what it was given."""

from __future__ import annotations

from collections.abc import Sequence

from kmr_cli.compare.alignment import Call
from kmr_cli.compare.case import Case
from kmr_cli.compare.pair import Pair
from kmr_cli.compare.words import LISTED


def surroundings(case: Case, pair: Pair) -> str:
    """The end of a message about a tensor that differs; empty where there is nothing to add."""
    layer, call, port = pair.model.tap
    if case.entering is None or not layer:
        return ""
    if port.startswith("out") and pair.baseline.port.startswith("in"):
        return f"; it comes before the baseline's {pair.baseline.layer!r}, and was compared with what enters that"
    rewired = case.entering.rewired((layer, call))
    if rewired is not None:
        return f"; its {rewired[0]} comes from {rewired[1]!r}, in the baseline from {rewired[2]!r}"
    return _alone_before(case, (layer, call)) + _given(case, pair)


def _alone_before(case: Case, call: Call) -> str:
    assert case.entering is not None
    fused, added = case.entering.fused(call), case.entering.added_before(call)
    if any(mine[-1] == call for mine, _ in case.folded()):
        return ""  # another finding says so
    if fused:
        return f"; in the baseline {_named(fused)} before it, without counterpart here"
    if added:
        return f"; {_named(added)} before it, without counterpart in the baseline"
    return ""


def _given(case: Case, pair: Pair) -> str:
    """That what enters differs as well, by no more than what was allowed where it was made."""
    layer, call, port = pair.model.tap
    if port.startswith("in"):
        return ""
    entering = [one.content for one in case.pairs if one.model.tap[:2] == (layer, call) and one.model.port[:2] == "in"]
    off = [content.size for content in entering if content.kind == "off" and content.size < float("inf")]
    return f"; what enters it is off by {max(off):.3g}, which its own layer is allowed" if off else ""


def _named(calls: Sequence[Call]) -> str:
    layers = list(dict.fromkeys(layer for layer, _ in calls))
    listed = ", ".join(map(repr, layers[:LISTED])) + (", …" if len(layers) > LISTED else "")
    return f"{listed} {'stands' if len(layers) == 1 else 'stand'}"
