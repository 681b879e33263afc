"""KMR403, KMR406 to KMR408: shapes and values of tensors that correspond. They exclude each other at one tensor."""

from __future__ import annotations

from kmr_cli.compare.begins import begins
from kmr_cli.compare.case import Case
from kmr_cli.compare.words import how_far, shape_of, who
from kmr_cli.rules import Rule

SHAPE_CHANGED = Rule(
    "KMR403",
    "shape-changed",
    "error",
    "a tensor has another shape",
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
    "the model gives other answers to the same batch",
    "look at the first layer named, on both sides, with kmr-inspect sample",
    command="compare",
    if_passed="the outputs agree, layers on the way differ",
    gravity=20,
)
VALUES_REORDERED = Rule(
    "KMR407",
    "values-reordered",
    "error",
    "the same values stand in another order within a sample",
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
    "nothing to mend; --rtol, --atol or --ulp make it stricter",
    command="compare",
)
RULES = (SHAPE_CHANGED, VALUES_CHANGED, VALUES_REORDERED, VALUES_CLOSE)


_CONTENT = {"shape": "KMR403", "off": "KMR406", "reordered": "KMR407"}


def judge_content(case: Case) -> None:
    """KMR403, KMR406, KMR407: shapes and values, blamed on the layers where they begin; KMR408 once."""
    by_tap = {pair.model.tap: pair for pair in case.pairs}
    codes = {tap: _CONTENT[pair.content.kind] for tap, pair in by_tap.items() if pair.content.kind in _CONTENT}
    for begin in begins(case, codes):
        pair = by_tap[begin.tap]
        content = pair.content
        if content.kind == "shape":
            order = " (the axes in another order)" if content.moved else ""
            text = f"shape {shape_of(pair.model)} instead of {shape_of(pair.baseline)}{order}"
        elif content.kind == "reordered":
            text = f"the same values in another order{who(content, case.model.size)}"
        else:
            text = f"{how_far(content, pair.model.dtype)}{who(content, case.model.size)}"
        where = None if content.kind == "shape" else content
        case.add(codes[begin.tap], begin.tap, text + begin.elsewhere, where, begin.severity)
    close = [pair for pair in case.pairs if pair.content.kind == "close" and pair.content.size > 0]
    if close:
        worst = max(close, key=lambda pair: pair.content.size / (pair.content.scale or 1.0))
        text = f"{how_far(worst.content, worst.model.dtype)}, tolerance {worst.content.tolerance:.3g}"
        if len(close) > 1:
            text += f"; {len(close)} tensors differ within their tolerances, none by more for its size"
        case.add("KMR408", worst.model.tap, text, worst.content)


def judge_layouts(case: Case) -> None:
    """KMR403 as a warning: outputs whose values agree, but only once their axes stand in the other model's order."""
    for pair in case.pairs:
        if not pair.model.layer and pair.content.moved and pair.content.kind in ("same", "close"):
            shapes = f"shape {shape_of(pair.model)} instead of {shape_of(pair.baseline)}"
            text = f"{shapes} (the axes in another order; the values agree)"
            case.add("KMR403", pair.model.tap, text, severity="warning")
