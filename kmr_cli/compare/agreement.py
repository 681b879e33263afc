"""Whether the outputs agree, and what could not be compared."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence

from kmr_cli.compare.case import Case, Pair, axis_moved
from kmr_cli.compare.words import counted, output_name
from kmr_cli.evidence.taps import Tap
from kmr_cli.records import OutputAgreement


def agreement(pair: Pair, names: Sequence[str], swapped: Container[Tap] = ()) -> OutputAgreement:
    """Whether a pair of outputs agrees, and how far apart the two are.

    Args:
        pair: the output, and the baseline's that it was held against.
        names: of the model's outputs.
        swapped: outputs that stand at another place than in the baseline. They do not agree, whatever they hold.
    """
    if pair.model.tap in swapped:
        return OutputAgreement(output_name(pair.model.port, names), False, None, None)
    content = pair.content
    agrees: bool | None = None
    if content.kind != "unknown" and not _says_nothing(pair):
        agrees = content.kind in ("same", "close") and not content.moved and not axis_moved(pair)
    # A size of 0 means equal bits; where only sketches are equal, no number is known.
    known = content.kind == "same" or (content.size > 0 and math.isfinite(content.size))
    name = output_name(pair.model.port, names)
    return OutputAgreement(name, agrees, content.size if known else None, content.tolerance if known else None)


def _says_nothing(pair: Pair) -> bool:
    """Whether two taps agree without a single finite value."""
    samples = pair.model.samples
    empty = all(sample.rms is None for sample in samples) and any(sample.nonfinite for sample in samples)
    return empty and pair.content.kind in ("same", "close")


def not_compared(case: Case) -> Iterable[str]:
    """What could not be compared, one line each."""
    if not case.outputs:
        yield "no output was compared"
    for pair in case.pairs:
        if not pair.model.layer and _says_nothing(pair):
            title = output_name(pair.model.port, case.model.outputs)
            yield f"output {title!r} holds nothing but NaN or Inf on both sides, so none of its values were compared"
    unknown = [pair for pair in case.pairs if pair.content.kind == "unknown"]
    inside = list(dict.fromkeys(pair.model.layer for pair in unknown if pair.model.layer))
    told = set()
    for pair in unknown:
        if not pair.model.layer:
            title, reason = output_name(pair.model.port, case.model.outputs), pair.content.reason
            first = next((one.model.layer for one in unknown if one.model.layer and one.content.reason == reason), None)
            begins = "" if first is None else f" (from layer {first!r} on)"
            yield f"output {title!r} {reason}{begins}, so its values were not compared"
            told.add(reason)
    rest = [pair for pair in unknown if pair.model.layer and pair.content.reason not in told]
    if rest:
        more = f"; nor were those of {counted(len(inside) - 1, 'more layer')}" if len(inside) > 1 else ""
        yield f"layer {rest[0].model.layer!r} {rest[0].content.reason}, so its values were not compared{more}"
