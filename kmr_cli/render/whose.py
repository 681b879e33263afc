"""One value of one sample in words: whose it is, how sure that is, and its figures."""

from __future__ import annotations

from kmr_cli.arrays.summary import Summary
from kmr_cli.records import BatchIndex, BatchIndexKind, Record

WORDS: dict[BatchIndexKind, str] = {
    "separated": "verified",
    "merged": "verified",
    "moved": "verified",
    "reordered": "verified",
    "mixed": "MIXED",
    "interleaved": "INTERLEAVED",
    "constant": "constant",
    "routed": "ROUTED",
    "inconclusive": "INCONCLUSIVE",
}
"""What passes showed of a value."""


def word_for(record: Record) -> str:
    """Whether it is known whose a value is: ``verified``, ``constant`` and ``proven`` say so."""
    return "proven" if record.index.proven else WORDS[record.index.kind]


def is_known(record: Record) -> bool:
    """Whether it is."""
    return word_for(record) in ("verified", "constant", "proven")


def axis_of(index: BatchIndex) -> str:
    """``merged on axis 0``; empty where no axis carries the samples."""
    known = index.axis is not None and index.kind not in ("mixed", "inconclusive")
    return f"{index.kind} on axis {index.axis}" if known else ""


def part_of(record: Record) -> str:
    """What of the tensor it is: ``sample 3``."""
    return "whole tensor" if record.sample is None else f"sample {record.sample}"


def figures(summary: Summary) -> list[str]:
    """A line of its numbers, and one of how many are special."""
    if summary.minimum is None and not summary.nans and not summary.infinities:
        return [f"{summary.size:,} texts"]
    numbers = "nothing finite"
    if summary.minimum is not None:
        named = {"min": summary.minimum, "max": summary.maximum, "mean": summary.mean, "std": summary.deviation}
        numbers = "  ".join(f"{name} {figure:.4g}" for name, figure in named.items())
    counts = f"zeros {summary.zeros:,} of {summary.size:,}  NaN {summary.nans:,}  Inf {summary.infinities:,}"
    return [numbers, counts]
