"""The model does not run on the batch: at which sizes does it, and what is there to say of it at one of those?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from kmr_cli.batch import replacement
from kmr_cli.batch.given import batch_size
from kmr_cli.check.grounds import all_but, looked_at_too
from kmr_cli.check.probes.mask_axis import mask_one_step_at
from kmr_cli.check.probes.resized import broken, keeps_rows
from kmr_cli.check.probes.sizes import other_lengths
from kmr_cli.check.probes.workable import all_rows, dimensions, first_rows, related, sizes_that_work, square_input
from kmr_cli.check.report import make_report
from kmr_cli.check.rules import masks as mask_rules
from kmr_cli.check.rules import sizes
from kmr_cli.check.run import Run
from kmr_cli.config.masks import Mask
from kmr_cli.config.policy import Policy
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.reach import SINGLY
from kmr_cli.evidence.taps import Tap
from kmr_cli.records import Batch, ModelInfo, Report, Verdict

Again = Callable[[ModelInfo, Batch, "Batch | None"], Report]
"""The check of the same model on another batch, with spare rows."""
_ANY_SIZE = 3
"""A model that runs at more sizes than so many, one sample left aside, is not bound to them."""


def check_failing(
    run: Run, failure: ModelRunError, policy: Policy, masks: Sequence[Mask], spare: Batch | None, again: Again
) -> Report:
    """The report on a model that fails on the batch: at which sizes it runs, and what a check of one of them shows.

    Takes up to 28 passes to find these sizes, and those of the other check.

    Args:
        run: the check, which came no further than the first pass.
        failure: what the model said.
        policy: which rules count.
        masks: to be checked.
        spare: further rows of the inputs.
        again: checks another batch.

    Raises:
        ModelRunError: ``failure``, where it runs at no size; or the rows of the data cannot be samples.
    """
    works, fails = sizes_that_work(run, failure, spare)
    if not works:
        raise failure
    rows = all_rows(run.batch, spare)
    _refuse_parts(rows, works)
    others = all_but(*sizes.RULES, mask_rules.MASK_MISALIGNED)
    run.skip(f"the model does not run on a batch of {run.evidence.size}", *others)
    if _find_wrong_masks(run, policy, masks, works):
        return make_report(run, policy, masks, [run.evidence.size, *works])
    inner = _check_at(run, rows, works, again)
    lengths = set(dimensions(run.batch))
    if inner is not None and 1 in works:  # what is broadcast may meet any dimension inside
        lengths |= {length for tap in inner.taps for length in other_lengths(tap.shape, tap.index)}
    bound = None if inner is None else _bound(run, inner, works)
    sizes.judge_failing(run, failure, broken(failure, run.evidence.order), works, fails, lengths, bound)
    tried = [run.evidence.size, *works]
    return make_report(run, policy, masks, tried) if inner is None else _together(run, inner, policy, tried)


def _refuse_parts(rows: Batch, works: Sequence[int]) -> None:
    """A model that takes all rows together, and no part of them: they aren't samples."""
    count, square = batch_size(rows), square_input(rows)
    if works == [count] and square is not None:
        text = f"the model runs on all {count} rows of the data together and on no part of them: {related(square)}"
        raise ModelRunError(text, _STACK)


def on_made_up_data(run: Run, failure: ModelRunError) -> ModelRunError:
    """A model that takes the batch, and not the data that a sample of it is replaced with."""
    text = f"the model takes the batch, but not the other data that was made up for a sample of it: {failure.message}"
    square = square_input(run.batch)
    hint = "give more samples with --input: they then replace others"
    found = ModelRunError(text, hint) if square is None else ModelRunError(f"{text}; {related(square)}", _STACK)
    found.layer = failure.layer
    return found


_STACK = "samples need an axis of their own: pad the graphs to one size and stack them, say"


def _find_wrong_masks(run: Run, policy: Policy, masks: Sequence[Mask], works: Sequence[int]) -> bool:
    """Whether a mask against the wrong axis explains that it runs only where two sizes agree: KMR203 then."""
    if not masks or not policy.counts(mask_rules.MASK_MISALIGNED.code):
        return False
    lengths = dimensions(run.batch)
    for size in (other for other in works if other in lengths):
        found, order = mask_one_step_at(run, masks, size)
        if found:
            mask_rules.judge_axis(run, found, order)
            return True
    return False


def _check_at(run: Run, rows: Batch, works: Sequence[int], again: Again) -> Report | None:
    """The check at one of the sizes that work, of several samples; None where there is none, or it fails there too."""
    several = [size for size in works if size > 1]
    small = [size for size in several if size <= SINGLY]
    if not several:
        return None
    size, have = max(small) if small else min(several), batch_size(rows)
    batch = first_rows(rows, size)
    if size > have:  # copies would hide who depends on whom
        batch = replacement.replace(batch, range(have, size), run.session.inputs, run.rng)
    spare = {name: values[size:] for name, values in rows.items()} if size < have else None
    info = run.info if len(several) > _ANY_SIZE else replace(run.info, fixed_batch=size)
    try:
        return again(info, batch, spare)
    except ModelRunError:
        return None


def _bound(run: Run, inner: Report, works: Sequence[int]) -> tuple[Tap, int] | None:
    """The first layer whose output has a row for each sample at the one size that works, and as many on the batch.

    One sample is broadcast to whatever there is. A table that happens to be as long as another dimension is none.
    """
    several = [size for size in works if size > 1]
    if len(several) != 1:
        return None
    (size,) = several
    at_work = {(tap.layer, tap.call, tap.port): tap for tap in inner.taps}
    if any(size in other_lengths(tap.shape, tap.index) for tap in inner.taps):
        return None
    for tap in run.evidence.order:
        known, seen = at_work.get(tap), run.evidence.specs.get(tap)
        inside = tap[0] and tap[2].startswith("out")
        if inside and known is not None and seen is not None and keeps_rows(known.shape, seen.shape, size):
            return tap, size
    return None


def _together(run: Run, inner: Report, policy: Policy, tried: Sequence[int]) -> Report:
    """What the check at a size that works shows, with what the sizes show."""
    rest = [finding for finding in inner.findings if not sizes.is_failure(finding)]
    findings = policy.in_order([*policy.apply(run.findings), *rest])
    failed = any(finding.severity == "error" and not finding.allowed for finding in findings)
    verdict: Verdict = "fail" if failed else "inconclusive" if inner.inconclusive else "pass"
    return replace(
        inner,
        verdict=verdict,
        findings=tuple(findings),
        forward_passes=run.passes + inner.forward_passes,
        batch_sizes=tuple(dict.fromkeys((*inner.batch_sizes, *tried))),
        grounds=looked_at_too(inner.grounds, policy, *sizes.RULES),
        basis=inner.basis if verdict == "pass" else "evidence",
    )
