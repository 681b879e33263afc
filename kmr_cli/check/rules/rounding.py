"""KMR303: differences in the last bits, and rounding that a model makes larger."""

from __future__ import annotations

from kmr_cli.rules import Rule

BATCH_VARIANT = Rule(
    "KMR303",
    "batch-variant",
    "note",
    "the last bits differ between batch sizes, or downstream of routed rows",
    "bitwise reproducibility across batch sizes is lost; the values are the same for practical purposes",
    "nothing to mend, unless you compare bit for bit: then fix the batch size",
    others=(("warning", "the model makes last bits so large that other values come out"),),
    batch_statistics="meaningless",
)
RULES = (BATCH_VARIANT,)
