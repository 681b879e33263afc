"""KMR201 to KMR203: what masked passes say of a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kmr_cli.check.observed import MaskRun, WrongAxis
from kmr_cli.check.precedence import superseded_by
from kmr_cli.check.run import Run
from kmr_cli.config.masks import Mask
from kmr_cli.evidence.sources import Source
from kmr_cli.evidence.taps import Tap
from kmr_cli.rules import Precedence, Rule

MASK_IGNORED = Rule(
    "KMR201",
    "mask-ignored",
    "error",
    "what is in masked positions changes a result",
    "padding influences the answer, so it depends on how long the longest neighbour is",
    "pass the mask to every layer that reduces over the masked axis",
    headline="padding changes the answers",
    gravity=40,
    needs_masks=True,
)
MASK_EMPTY = Rule(
    "KMR202",
    "mask-empty",
    "error",
    "a fully masked sample gives NaN or Inf",
    "an empty sequence divides by zero",
    "divide by max(unmasked steps, 1); where a softmax or attention has no step left, return zeros with where()",
    headline="a fully masked sample has no valid answer",
    gravity=35,
    needs_masks=True,
)
MASK_MISALIGNED = Rule(
    "KMR203",
    "mask-misaligned",
    "error",
    "a mask broadcasts against the wrong axis",
    "the mask is applied along another axis, which shows only when the two sizes differ",
    "expand the mask to the rank of what it masks: mask[..., None]",
    headline="a mask meets the wrong axis",
    gravity=50,
    needs_masks=True,
    supersedes=(
        Precedence("inside", ("KMR101", "KMR102", "KMR103", "KMR104")),
        Precedence("onwards", ("KMR201",)),
    ),
)
RULES = (MASK_IGNORED, MASK_EMPTY, MASK_MISALIGNED)


def judge(run: Run, masks: Sequence[Mask], found: MaskRun) -> None:
    """What stands in masked positions, a sample that is masked altogether, a longer padding."""
    steady = run.evidence.nondeterministic
    for rule, wrong, text in (
        (MASK_IGNORED, found.ignored - steady, "what is in masked positions changes others"),
        (MASK_EMPTY, found.broken - steady, "a fully masked sample gives NaN or Inf"),
    ):
        _add(run, rule, wrong, found.order, text)
    if found.failed is not None:
        source = Source("", 0, "out0")
        run.add(MASK_EMPTY, source, f"a fully masked sample makes the batch fail: {found.failed}")
    if not run.reported(MASK_IGNORED):
        longer = found.longer - steady - run.noisy
        _add(run, MASK_IGNORED, longer, found.order, "a longer padding changes the result")
    doubtful = [tap for tap in found.order if not tap[0] and tap in found.doubtful - found.ignored - steady]
    if doubtful and not found.lengthened and not run.reported(MASK_IGNORED):
        titles = ", ".join(run.title(tap) for tap in doubtful)
        run.inconclusive.append(
            f"what is in masked positions changes {titles}, and whether that has an axis of steps is not known"
        )
    if not found.replaced and not found.lengthened:
        names = ", ".join(repr(mask.name) for mask in masks)
        way_out = (
            f": the file takes exactly {' and '.join(map(str, found.counts))} steps, to which all samples are padded,"
            " whatever else is in the batch; to see whether padding counts, export the model for any number of steps,"
            " or leave out --mask-input"
        )
        run.inconclusive.append(
            f"padding of {names}: no other values could be put there, and it could not be made longer"
            + (way_out if found.declared else "")
        )


def judge_axis(run: Run, found: Iterable[WrongAxis], order: Sequence[Tap]) -> None:
    """Layers that apply a mask to the wrong axis, in place of what that looks like to other rules.

    Args:
        run: the check.
        found: the layers.
        order: the taps, in the order in which they ran.
    """
    ran = {layer: place for place, (layer, _, _) in reversed(list(enumerate(order)))}
    for wrong in found:
        after = {layer for layer, place in ran.items() if place > ran[wrong.source.layer]} | {""}
        run.add(MASK_MISALIGNED, wrong.source, wrong.message, after=frozenset(after))


def is_suspect(run: Run) -> bool:
    """Whether an error was found that a mask against the wrong axis would explain."""
    explained = superseded_by(MASK_MISALIGNED.code)
    return any(finding.rule in explained and finding.severity == "error" for finding in run.findings)


def _add(run: Run, rule: Rule, wrong: set[Tap], order: Sequence[Tap], text: str) -> None:
    """At the layers where it begins, if it reaches an output."""
    if any(not layer for layer, _, _ in wrong):
        for source in run.sources(wrong.__contains__, order):
            run.add(rule, source, text)
