"""Are the samples of a batch independent at every layer? Probes run passes, rules judge what those showed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kmr_cli.batch.given import batch_size, number_samples
from kmr_cli.check.contradiction import hold
from kmr_cli.check.failing import check_failing, on_made_up_data
from kmr_cli.check.grounds import all_but
from kmr_cli.check.named_calls import name_calls
from kmr_cli.check.passes import Progress
from kmr_cli.check.probes.aimed import aim_at_meets
from kmr_cli.check.probes.alone import probe_alone
from kmr_cli.check.probes.decisions import change_decisions
from kmr_cli.check.probes.extreme import PASSES as HARD_PASSES
from kmr_cli.check.probes.extreme import SMALLEST, make_others_extreme
from kmr_cli.check.probes.gaps import FAINT_PASSES
from kmr_cli.check.probes.large import PASSES as LARGE_PASSES
from kmr_cli.check.probes.large import choose_large, try_large
from kmr_cli.check.probes.last_bits import find_last_bits
from kmr_cli.check.probes.mask_axis import mask_one_step
from kmr_cli.check.probes.masks import PASSES as MASK_PASSES
from kmr_cli.check.probes.masks import try_masks
from kmr_cli.check.probes.one_sided import further_passes
from kmr_cli.check.probes.pairs import find_pairs
from kmr_cli.check.probes.repeat import find_noise, look_again, look_for_state, same_start
from kmr_cli.check.probes.sizes import try_sizes
from kmr_cli.check.probes.turns import try_turns
from kmr_cli.check.report import make_report
from kmr_cli.check.rules import layout, mixing, moved, non_finite, place, poisoned, possible, repeat, rounding, sizes
from kmr_cli.check.rules import masks as mask_rules
from kmr_cli.check.run import Run
from kmr_cli.check.structure import NO_GRAPH, Structure
from kmr_cli.config.masks import Mask, masks_of
from kmr_cli.config.policy import Policy as Policy
from kmr_cli.errors import BatchError, ModelRunError
from kmr_cli.evidence.passes import Evidence
from kmr_cli.formats.interface import Session, State, Taps
from kmr_cli.proof.verdict import Proof
from kmr_cli.records import Batch, BatchIndex, ModelInfo, Report

_SIZES, _UNGROUPED = 8, 10 + HARD_PASSES + LARGE_PASSES
"""Passes at other sizes, all passes but those of groups, passes for masks: what a user may expect."""


def check(
    session: Session,
    info: ModelInfo,
    batch: Batch,
    *,
    policy: Policy | None = None,
    seed: int = 0,
    spare: Batch | None = None,
    reopen: Callable[[], Session] | None = None,
    progress: Progress = lambda _: None,
    proof: Proof | None = None,
    unproven: str = NO_GRAPH,
) -> Report:
    """Check that samples do not mix, and where they do, say which layer mixes them.

    The number of forward passes depends on the inputs alone: at most B + 31 for up to eight samples, 2·⌈log2 B⌉ + 31
    above, four fewer from 32 samples on; of several inputs, which are made extreme in turn, up to twelve more; of two
    or three samples, of which one is faint, two more, and one more where the model compares with numbers. Up to
    four of them run a batch of at least 32 samples, unless the tapped values would take more than 1 GB; up to five more
    find out what went wrong there. Where the model's code does something else at other numbers of samples, up to four
    more such batches are run. Up to two find the layer of what went wrong at
    another size; what is left names samples that mix, where groups showed that some do. Where a large tensor does not
    hold the samples in rows, a pass keeps all tensors and those so far are run again: other sizes are tried with what
    is left. At most five more passes check masks, and one more training mode. A model that gives different values every
    time takes up to six to tell why, and so is run at fewer sizes. Where the format can put back what a pass left,
    every pass begins with the same, and five more tell what a call with other data changes for the next. Where a
    finding is at one of several calls of a layer, and the model has several inputs, one pass and one for each of them
    tell from which the call is. Where samples seem to change each other, up to two more tell whether that is chance;
    where rows are routed before they do, up to two more tell where more than last bits change.
    Where the graph lets samples meet in an operator and nothing shows it, six more are aimed at that operator, and
    three where the model compares with numbers that it computes; where no rule covers an operator, one more notes what
    it is given, and it is run alone. Of a model that fails on the batch see
    :func:`kmr_cli.check.failing.check_failing`.

    Args:
        session: the loaded model.
        info: its description.
        batch: the inputs, at least two samples; one where the model takes no more: then state alone is looked for.
        policy: which rules, and what is by design.
        seed: of all replacement data.
        spare: further rows of the same inputs, preferred as replacement data.
        reopen: loads the model afresh, to tell state from chance; None where that is not possible.
        progress: told before every pass.
        proof: of the graph of this very model, where there is one: it settles what no pass shows, and is held against
            what the passes do show.
        unproven: why there is none.

    Raises:
        LayerError: what the policy allows is the end of several layers.
        ModelRunError: the model does not run on this batch, nor at any other size.
        BatchError: the batch is one sample, and the model keeps nothing between calls.
        ProofError: a pass contradicts the proof.
    """
    policy = (policy or Policy()).resolved([layer.path for layer in session.layers], info.separator)
    structure = None if proof is None else Structure(proof)
    with same_start(session) as start:
        return _check(
            session, info, batch, start, policy=policy, seed=seed, spare=spare, reopen=reopen, progress=progress,
            structure=structure, unproven=unproven,
        )  # fmt: skip


def _check(
    session: Session,
    info: ModelInfo,
    batch: Batch,
    start: State | None,
    *,
    policy: Policy,
    seed: int,
    spare: Batch | None,
    reopen: Callable[[], Session] | None,
    progress: Progress,
    structure: Structure | None,
    unproven: str,
) -> Report:
    """The same, every pass of which begins with ``start``, where the format can put it back."""
    masks = masks_of(policy.masks, session.inputs, batch)
    layers = tuple(layer.path for layer in session.layers if not layer.untappable)
    run = Run(
        session,
        info,
        batch,
        Taps(layers),
        Evidence(batch_size(batch)),
        np.random.default_rng([seed, 2]),
        progress,
        start=start,
        structure=structure,
    )
    if structure is None:
        run.skip(unproven, *possible.RULES)
    if not masks:
        run.skip("no mask is named, or implied by the model's layers", *mask_rules.RULES)
    groups = run.evidence.groups(number_samples(batch).tolist())
    for_masks = MASK_PASSES if masks else 0

    def again(other: ModelInfo, data: Batch, rest: Batch | None) -> Report:
        return _check(
            session, other, data, start, policy=policy, seed=seed, spare=rest, reopen=reopen, progress=progress,
            structure=structure, unproven=unproven,
        )  # fmt: skip

    further = further_passes(run) + (FAINT_PASSES if 2 <= run.evidence.size < SMALLEST else 0)
    ungrouped = _UNGROUPED - (_SIZES - 1 + LARGE_PASSES if info.fixed_batch is not None else 0)
    run.planned = len(groups) + ungrouped + further + for_masks
    try:
        run.step("running the model")
        run.evidence.record(session, batch, run.taps)
    except ModelRunError as exc:
        return check_failing(run, exc, policy, masks, spare, again)
    run.allowed_outputs = frozenset(
        tap for tap in run.outputs if policy.allows_output(tap[2], run.evidence.names.get(tap[2], tap[2]))
    )
    run.step("running the same batch again")
    run.evidence.repeat(session, batch, run.taps)
    look_for_state(run, reopen)
    repeat.judge(run)
    if run.evidence.nondeterministic and reopen is None and run.start is None:
        run.skip("the model can't be loaded a second time, which would distinguish state from chance", repeat.STATEFUL)
    if run.evidence.size == 1:
        return _report_alone(run, policy)
    run.budget = len(groups) + 11 + HARD_PASSES + further + find_noise(run)
    try:
        run.replace_each(groups, spare)
    except ModelRunError as exc:
        raise on_made_up_data(run, exc) from exc
    change_decisions(run)
    run.indices = {tap: run.evidence.index(tap) for tap in run.evidence.order}
    if not run.outputs or set(run.outputs) - run.evidence.nondeterministic:  # else nothing could be told from it
        make_others_extreme(run)
        aim_at_meets(run)
        probe_alone(run)
    large = choose_large(run, policy.batch_sizes)
    try_sizes(run, for_masks + (LARGE_PASSES if large else 0), _other_sizes(policy, large))
    if large:
        try_large(run, large, spare)
    try_turns(run, spare, chosen=bool(policy.batch_sizes))
    look_again(run)
    find_last_bits(run, spare)
    repeat.judge(run)
    non_finite.judge(run)
    mixing.judge(run)
    poisoned.judge(run)
    rounding.judge_routed(run)
    _judge_sizes(run)
    if mixing.has_unnamed_samples(run):
        mixing.name_samples(run, find_pairs(run, run.budget - run.passes, spare))
    if masks:
        _judge_masks(run, masks, policy)
    moved.judge(run)
    layout.judge(run)
    mixing.judge_inside(run)
    possible.judge(run)
    if run.structure is not None:
        run.held = hold(run, run.structure)
    name_calls(run, spare)
    others = {found.size for found, _ in run.sizes} - {run.evidence.size}
    return make_report(run, policy, masks, [run.evidence.size, *sorted(others)])


def _other_sizes(policy: Policy, large: int | None) -> list[int] | None:
    """The sizes that the user asks for, without that of the large batch, which is run by itself; None if for none."""
    return [size for size in policy.batch_sizes if size != large] if policy.batch_sizes else None


def _report_alone(run: Run, policy: Policy) -> Report:
    """Of a model that takes one sample at a time: nothing can mix but requests, by what is kept between them.

    Raises:
        BatchError: nothing is.
    """
    if not run.claims:
        raise BatchError(
            "the model takes exactly 1 sample at a time, which has no neighbours, and keeps nothing between calls:"
            " nothing to check",
            "save or export it with a batch axis of any size (None), and check that file",
        )
    run.skip("the model takes exactly 1 sample at a time", *all_but(*repeat.RULES))
    alone = "the model takes exactly 1 sample at a time: whether samples of a batch mix cannot be seen"
    run.inconclusive.append(alone)
    run.indices = {tap: BatchIndex("inconclusive", evidence=alone) for tap in run.evidence.order}
    return make_report(run, policy, (), [1])


def _judge_sizes(run: Run) -> None:
    """What other sizes showed, one at a time: an error costs up to two passes, to find the layer."""
    for found, _ in run.sizes:
        rounding.judge_amplified(run, found)
        for port in found.unsure:
            tap = ("", 0, port)
            title = run.title(tap)
            run.not_verified(
                tap,
                f"{title} is discrete and differs for the same samples {run.where(found)}: rounding may tip a decision,"
                " or the size may change it; return the scores behind it as another output",
            )
    sizes.judge_unaffordable(run)
    if run.info.fixed_batch is not None:
        run.skip(f"the model takes only batches of {run.info.fixed_batch}", *sizes.RULES)
    elif not run.sizes:
        run.skip("the model was run at one batch size only", *sizes.RULES)
    at_any = any(found.differs and not found.misplaced and not coincident for found, coincident in run.sizes)
    leaks = run.large is not None and bool(run.large.leaks)
    if run.large is not None and leaks:
        mixing.judge_large(run, run.large)
    for found, coincident in run.sizes:
        if leaks and found.differs is not None and found.size >= run.evidence.size:
            continue  # which the mix explains
        if not found.wrong:
            rounding.judge_last_bits(run, found)
        elif found.differs is not None and found.misplaced:
            place.judge(run, found)
        else:
            sizes.judge(run, found, coincident=coincident and not at_any)


def _judge_masks(run: Run, masks: Sequence[Mask], policy: Policy) -> None:
    """At most four passes. Where an error was found, one of them looks for a mask against the wrong axis, if asked."""
    run.tell("masking steps")
    try:
        found = try_masks(
            run.session, run.batch, masks, run.taps, run.indices, run.rng, suspect=mask_rules.is_suspect(run)
        )  # fmt: skip
    except ModelRunError as exc:
        run.skip("the model does not run on a padded batch", *mask_rules.RULES)
        run.inconclusive.append(
            f"the model does not run on a padded batch, so its masks are not checked: {exc.message}"
        )
        return
    run.passes += found.passes
    mask_rules.judge(run, masks, found)
    wanted = policy.counts(mask_rules.MASK_MISALIGNED.code) and mask_rules.is_suspect(run)
    if wanted and found.passes < MASK_PASSES:
        mask_rules.judge_axis(run, mask_one_step(run, masks, found), found.order)
