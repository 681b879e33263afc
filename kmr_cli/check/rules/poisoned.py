"""KMR108: NaN in one sample changes another."""

from __future__ import annotations

from kmr_cli.rules import Rule

POISONED_NEIGHBOUR = Rule(
    "KMR108",
    "poisoned-neighbour",
    "error",
    "NaN in one sample changes another",
    "one bad request spoils every answer of its batch",
    "select with where() instead of multiplying by a mask of zeros",
    headline="samples of a batch change each other",
    gravity=100,
    needs_owners=True,
    batch_statistics="allowed",
)
RULES = (POISONED_NEIGHBOUR,)
