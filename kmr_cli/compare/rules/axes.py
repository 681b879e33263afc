"""KMR405: where the samples lie."""

from __future__ import annotations

from kmr_cli.compare.begins import begins
from kmr_cli.compare.case import Case, axis_moved
from kmr_cli.compare.words import lies
from kmr_cli.rules import Rule

BATCH_AXIS_CHANGED = Rule(
    "KMR405",
    "batch-axis-changed",
    "error",
    "the samples lie along a different axis, or can no longer be separated",
    "slicing at [i] gives another sample's values, or several samples'",
    "run kmr-inspect check-batch-axis on both models",
    command="compare",
    if_passed="the outputs agree, layers on the way differ",
    gravity=20,
)
RULES = (BATCH_AXIS_CHANGED,)


def judge(case: Case) -> None:
    """The layers at which samples begin to lie elsewhere."""
    changed = {pair.model.tap: pair for pair in case.pairs if axis_moved(pair)}
    for begin in begins(case, dict.fromkeys(changed, BATCH_AXIS_CHANGED)):
        pair = changed[begin.tap]
        severity = "warning" if pair.model.index == "inconclusive" else begin.severity
        text = f"samples {lies(pair.model)}; in the baseline they {lies(pair.baseline)}{begin.elsewhere}"
        case.add(BATCH_AXIS_CHANGED, begin.tap, text, severity=severity)
