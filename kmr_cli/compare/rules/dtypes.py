"""KMR404: dtypes."""

from __future__ import annotations

from kmr_cli.compare.begins import begins
from kmr_cli.compare.case import Case
from kmr_cli.rules import Rule

DTYPE_CHANGED = Rule(
    "KMR404",
    "dtype-changed",
    "error",
    "a tensor has a different dtype",
    "precision or range changed, and so does what consumes it",
    "look at the dtype policy at the first layer named; take the snapshot again if it is intended",
    command="compare",
)
RULES = (DTYPE_CHANGED,)


def judge(case: Case) -> None:
    """The layers at which another dtype begins. Callers may notice it although the values agree."""
    changed = {pair.model.tap: pair for pair in case.pairs if pair.model.dtype != pair.baseline.dtype}
    found = begins(case, dict.fromkeys(changed, DTYPE_CHANGED), casts=True)
    for begin in found:
        pair = changed[begin.tap]
        text = f"{pair.model.dtype} instead of {pair.baseline.dtype}{begin.elsewhere}"
        case.add(DTYPE_CHANGED, begin.tap, text, severity=begin.severity, lenient="warning")
    if changed and not found:
        tap, pair = next(iter(changed.items()))
        text = f"it takes {pair.model.dtype} instead of {pair.baseline.dtype}, and returns what it returned before"
        case.add(DTYPE_CHANGED, tap, text, lenient="warning")
