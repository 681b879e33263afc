"""KMR403, KMR406 to KMR408: shapes and values of tensors that correspond. They exclude each other at one tensor."""

from __future__ import annotations

from itertools import groupby

from kmr_cli.compare.begins import begins
from kmr_cli.compare.case import Case, Pair
from kmr_cli.compare.surroundings import surroundings
from kmr_cli.compare.words import LISTED, how_far, shape_of, who
from kmr_cli.rules import Rule

SHAPE_CHANGED = Rule(
    "KMR403",
    "shape-changed",
    "error",
    "a tensor has a different shape",
    "what consumes it breaks, or broadcasts silently",
    "look at the first layer named: padding, strides, units, data format",
    command="compare",
    if_passed="the outputs agree, layers on the way differ",
    gravity=20,
)
VALUES_CHANGED = Rule(
    "KMR406",
    "values-changed",
    "error",
    "values differ by more than the tolerance",
    "the model gives different answers to the same batch",
    "look at the first layer named, on both sides, with kmr-inspect sample",
    command="compare",
    if_passed="the outputs agree, layers on the way differ",
    gravity=20,
)
VALUES_REORDERED = Rule(
    "KMR407",
    "values-reordered",
    "error",
    "the same values are in a different order within a sample",
    "channels or features were swapped on the way",
    "apply the same order of channels on both sides (data format, flatten, concatenation)",
    command="compare",
    if_passed="the outputs agree, layers on the way differ",
    gravity=20,
)
VALUES_CLOSE = Rule(
    "KMR408",
    "values-close",
    "note",
    "values differ, but within the tolerance",
    "other kernels, versions or machines round differently",
    "nothing to fix; --rtol, --atol or --ulp make the comparison stricter",
    command="compare",
)
RULES = (SHAPE_CHANGED, VALUES_CHANGED, VALUES_REORDERED, VALUES_CLOSE)
_BROKEN = {"shape": SHAPE_CHANGED, "off": VALUES_CHANGED, "reordered": VALUES_REORDERED}
"""Kind of difference -> the rule that it breaks."""


def judge(case: Case) -> None:
    """Shapes and values: one finding where each change begins, one for all that is within its tolerance."""
    _judge_changes(case)
    _judge_places(case)
    _judge_roundings(case)
    _judge_layouts(case)


def _judge_changes(case: Case) -> None:
    """KMR403, KMR406 and KMR407, at the layers where they begin."""
    pairs = {pair.model.tap: pair for pair in case.pairs}
    broken = {tap: _BROKEN[pair.content.kind] for tap, pair in pairs.items() if pair.content.kind in _BROKEN}
    for begin in begins(case, broken):
        pair, rule = pairs[begin.tap], broken[begin.tap]
        content = None if rule is SHAPE_CHANGED else pair.content
        text = _change(pair, case.model.size) + begin.elsewhere + surroundings(case, pair)
        case.add(rule, begin.tap, text, content, severity=begin.severity)


def _change(pair: Pair, size: int) -> str:
    """What became of a tensor, in a batch of ``size`` samples."""
    content = pair.content
    # What enters a layer was made before it, by code that isn't a layer.
    enters = "what enters it: " if pair.model.layer and pair.model.port.startswith("in") else ""
    if content.kind == "shape":
        return enters + _shapes(pair) + (" (the same axes in a different order)" if content.moved else "")
    if content.kind == "reordered":
        what = content.reason or "the same values in a different order"
        return f"{enters}{what}{who(content, size)}"
    return f"{enters}{how_far(content, pair.model.dtype)}{who(content, size)}"


def _judge_places(case: Case) -> None:
    """KMR407: outputs of a layer that hold each other's values. Those of the model are another rule's."""
    for call, moved in groupby(case.swapped.items(), key=lambda item: item[0][:2]):
        if call[0]:
            words = [f"{port} is {there} of the baseline" for (_, _, port), there in moved]
            tap = next(tap for tap in case.swapped if tap[:2] == call)
            case.add(VALUES_REORDERED, tap, f"the same outputs in a different order: {', '.join(words[:LISTED])}")


def _judge_roundings(case: Case) -> None:
    """KMR408, once: the largest of the differences within their tolerances."""
    close = [pair for pair in case.pairs if pair.content.kind == "close" and pair.content.size > 0]
    if not close:
        return
    worst = max(close, key=lambda pair: pair.content.size / (pair.content.scale or 1.0))
    text = f"{how_far(worst.content, worst.model.dtype)}, tolerance {worst.content.tolerance:.3g}"
    if len(close) > 1:
        text += f"; {len(close)} tensors differ within their tolerances, this one the most for its size"
    case.add(VALUES_CLOSE, worst.model.tap, text, worst.content)


def _judge_layouts(case: Case) -> None:
    """KMR403 as a warning: outputs whose values agree, but only once their axes stand in the other model's order."""
    for pair in case.pairs:
        if not pair.model.layer and pair.content.moved and pair.content.kind in ("same", "close"):
            text = f"{_shapes(pair)} (the same axes in a different order; the values agree)"
            case.add(SHAPE_CHANGED, pair.model.tap, text, severity="warning")


def _shapes(pair: Pair) -> str:
    return f"shape {shape_of(pair.model)} instead of {shape_of(pair.baseline)}"
