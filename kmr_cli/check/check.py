"""Are the samples of a batch independent at every layer? Rules over perturbed passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from kmr_cli.arrays.dtypes import ArraySpec, discrete
from kmr_cli.batch.given import batch_size, number_samples
from kmr_cli.batch.words import dtype_name
from kmr_cli.check.axes import carrying_axes, movement, pairs
from kmr_cli.check.probes.extreme import push
from kmr_cli.check.probes.masks import masks_of
from kmr_cli.check.probes.pairs import name_pairs
from kmr_cli.check.probes.repeat import find_noise, judge_determinism
from kmr_cli.check.rules.masks import judge_masks
from kmr_cli.check.rules.non_finite import judge_finite
from kmr_cli.check.rules.sizes import judge_failure, judge_sizes, mixing, try_sizes
from kmr_cli.check.run import Progress, Run
from kmr_cli.config.policy import Policy as Policy
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.owners import NOBODY
from kmr_cli.evidence.passes import Evidence
from kmr_cli.evidence.sources import Source, find_sources
from kmr_cli.evidence.taps import Tap
from kmr_cli.formats.interface import Session, Taps, training_mode
from kmr_cli.records import Batch, BatchIndex, Dependence, Finding, ModelInfo, Report, TapVerdict, Verdict
from kmr_cli.rules import RULES

_SILENT = BatchIndex("inconclusive", evidence="nothing that was replaced showed here")
_SIZES, _UNGROUPED, _MASKED = 8, 14, 4
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
) -> Report:
    """Check that samples do not mix, and where they do, say which layer mixes them.

    The number of forward passes depends on the batch alone: at most B + 15 for up to eight samples,
    2·⌈log2 B⌉ + 15 above. Up to two of them find the layer of what went wrong at another size; what is left names
    samples that mix, where groups showed that some do. Where a large tensor does not hold the samples in rows, a pass
    keeps all tensors and those so far are run again: other sizes are tried with what is left. Four more passes check
    masks, and one more training mode. A model that gives different values every time takes up to six to tell why, and
    so is run at fewer sizes.

    Args:
        session: the loaded model.
        info: its description.
        batch: the inputs, at least two samples.
        policy: which rules, and what is by design.
        seed: of all replacement data.
        spare: further rows of the same inputs, preferred as replacement data.
        reopen: loads the model afresh, to tell state from chance; None where that is not possible.
        progress: told before every pass.

    Raises:
        LayerError: what the policy allows is the end of several layers.
        ModelRunError: the model does not run on this batch, nor at any other size.
    """
    policy = (policy or Policy()).resolved([layer.path for layer in session.layers], info.separator)
    masks = masks_of(policy.masks, session.inputs, batch)
    layers = tuple(layer.path for layer in session.layers if not layer.untappable)
    run = Run(
        session, info, batch, Taps(layers), Evidence(batch_size(batch)), np.random.default_rng([seed, 2]), progress
    )
    groups = run.evidence.groups(number_samples(batch).tolist())
    for_masks = _MASKED if masks else 0
    run.planned = len(groups) + _UNGROUPED - (_SIZES - 1 if info.fixed_batch is not None else 0) + for_masks
    try:
        run.step("running the model")
        run.evidence.record(session, batch, run.taps)
    except ModelRunError as exc:
        return _report(run, policy, judge_failure(run, masks if policy.counts("KMR203") else (), exc))
    run.step("running the same batch again")
    run.evidence.repeat(session, batch, run.taps)
    judge_determinism(run, reopen)
    run.budget = len(groups) + 15 + find_noise(run)
    run.replace_each(groups, spare)
    run.indices = {tap: run.evidence.index(tap) for tap in run.evidence.order}
    if not run.outputs or set(run.outputs) - run.evidence.nondeterministic:  # else nothing could be told from it
        push(run)
    try_sizes(run, for_masks)
    judge_finite(run)
    _judge_outputs(run)
    judge_sizes(run)
    name_pairs(run, run.budget - run.passes, spare)
    if masks:
        judge_masks(run, masks, policy)
    _judge_inside(run)
    others = {found.size for found, _ in run.sizes} - {run.evidence.size}
    return _report(run, policy, [run.evidence.size, *sorted(others)])


# -- outputs -----------------------------------------------------------------------------------------------------


def _judge_outputs(run: Run) -> None:
    """Whether it matters is decided here: at what the model returns."""
    for tap in run.outputs:
        if tap in run.evidence.nondeterministic:
            continue
        index = run.indices[tap]
        if run.mixed(tap) and not run.rounded(tap):
            _mixed_output(run, tap)
        elif index.kind == "routed":
            _routed_output(run, tap)
        elif index.kind == "interleaved":
            _blame(run, "KMR105", tap, run.entangled)
        elif index.kind == "reordered":
            _blame(run, "KMR106", tap, lambda other: run.indices[other].kind == "reordered")
        elif index.kind in ("constant", "inconclusive"):
            _silent_output(run, tap)
        elif tap in run.poisoned:
            _blame(run, "KMR108", tap, run.poisoned.__contains__, samples=_touched_by_nan(run, tap))
        if run.rounded(tap):
            _rounded_output(run, tap)
        if index.kind in ("separated", "merged", "moved") and discrete(run.evidence.specs[tap]):
            _discrete_output(run, tap)


def _rounded_output(run: Run, tap: Tap) -> None:
    distance, (layer, call, port) = run.moved_by_others(tap), run.routed[0]
    message = f"{run.title(tap)} differs in its last bits (at most {distance} ULP) with the rows routed here"
    run.add("KMR303", Source(layer, call, port), message, max_ulp=distance)


def _mixed_output(run: Run, tap: Tap) -> None:
    if not carrying_axes(run, tap):
        _blame(run, "KMR104", tap, run.entangled)
        return
    _blame(run, "KMR101", tap, run.entangled, samples=tuple(pairs(movement(run, tap) or [])))


def _divides(run: Run, tap: Tap) -> bool:
    return any(length and length % run.evidence.size == 0 for length in run.evidence.specs[tap].shape)


def _routed_output(run: Run, tap: Tap) -> None:
    message = f"the shape of {run.title(tap)} depends on what the samples hold, so no axis tells whose row is whose"
    for source in find_sources(run.evidence.order, run.evidence.rerouted.__contains__, run.info.separator):
        run.add("KMR104", source, message)


def _silent_output(run: Run, tap: Tap) -> None:
    if run.indices[tap].kind == "constant" and not carrying_axes(run, tap):
        return  # a constant without a batch axis: there is nothing to mix
    silent = sorted(set(range(run.evidence.size)) - set(run.indices[tap].owners))
    if run.indices[tap].kind == "inconclusive" and len(silent) < run.evidence.size and not carrying_axes(run, tap):
        _blame(run, "KMR104", tap, lambda other: run.indices[other].kind == "inconclusive" and not _divides(run, other))
        return
    who, verb = f"sample{'s' if len(silent) > 1 else ''} {', '.join(map(str, silent))} never", "showed"
    if len(silent) == run.evidence.size:
        who, verb = "no sample", "ever showed"
    run.inconclusive.append(f"{run.title(tap)}: {who} {verb} in it, whatever replaced them")


def _discrete_output(run: Run, tap: Tap) -> None:
    """A mix before an argmax or a comparison can stay hidden: nothing is verified by values that hardly ever change."""
    if any(run.mixed(other) for other in run.evidence.order):
        run.inconclusive.append(f"{run.title(tap)} is discrete and a layer before it mixes samples, which may not show")


def _blame(run: Run, code: str, output: Tap, wrong: Callable[[Tap], bool], **more: object) -> None:
    """One finding for every source of what is wrong with an output."""
    seen = {(finding.rule, finding.layer, finding.call) for finding in run.findings}
    for source in _origins(run, wrong):
        if (code, source.layer, source.call) in seen:
            continue
        where = f"in the code before {source.before!r}" if source.before else ""
        if not source.layer and not where:
            where = "in the model's own code, after its last layer"
        text = f"{RULES[code].found_when}{' (' + where + ')' if where else ''}; seen at {run.title(output)}"
        run.add(code, source, text, **more)


def _origins(run: Run, wrong: Callable[[Tap], bool]) -> list[Source]:
    """The sources of what is wrong; of a sum of samples in two orders, the layer that reordered one of them."""

    def reordered(tap: Tap) -> bool:
        return run.indices[tap].kind == "reordered"

    sources = find_sources(run.evidence.order, wrong, run.info.separator)
    for source in sources:
        inside = source.layer + run.info.separator
        if any(
            reordered(tap) and ((tap[0] == source.layer and tap[2].startswith("in")) or tap[0].startswith(inside))
            for tap in run.evidence.order
        ):
            return find_sources(run.evidence.order, lambda tap: wrong(tap) or reordered(tap), run.info.separator)
    return sources


def _touched_by_nan(run: Run, tap: Tap) -> tuple[tuple[int, int], ...]:
    index = run.whose(tap)
    owners = {owner for owner in index.owners if owner not in (0, NOBODY)} if index is not None else set()
    return tuple((owner, 0) for owner in sorted(owners))


# -- inside ------------------------------------------------------------------------------------------------------


def _judge_inside(run: Run) -> None:
    """Notes: where the batch is not axis 0, and mixes that are undone before the outputs."""
    reported: set[str] = set()
    for tap in run.evidence.order:
        layer, call, port = tap
        index = run.indices[tap]
        if layer and layer not in reported and port.startswith("out") and index.kind in ("moved", "merged"):
            reported.add(layer)
            shape = run.evidence.specs[tap].shape
            words = f"is on axis {index.axis}" if index.kind == "moved" else f"is merged into axis {index.axis}"
            run.add("KMR107", Source(layer, call, port), f"the batch {words} of {shape}")
    guilty = {finding.layer for finding in run.findings if finding.rule in ("KMR101", "KMR104", "KMR105")}
    if guilty or any(tap in run.evidence.nondeterministic or run.mixed(tap) for tap in run.outputs):
        return
    shown = [tap for tap in run.outputs if run.indices[tap].axis is not None and not discrete(run.evidence.specs[tap])]
    if shown:  # every sample's own change shows in a value that is not discrete, and no other's: proof
        for source in mixing(run):
            run.add("KMR101", source, "samples mix here, and are separated again before the outputs", severity="note")


def _silent(run: Run) -> set[Tap]:
    """Floats that nothing reached although samples entered the layer: a dead unit is no constant."""
    found: set[Tap] = set()
    entered: set[tuple[str, int]] = set()
    shapes: set[ArraySpec] = set()

    for tap in run.evidence.order:
        layer, call, port = tap
        if tap not in run.indices or not layer:
            continue
        constant = run.indices[tap].kind == "constant"
        if port.startswith("in"):
            if constant and run.evidence.specs[tap] in shapes:  # most likely what a silent layer returned
                found.add(tap)
            if not constant or tap in found:
                entered.add((layer, call))
        elif constant and (layer, call) in entered and not discrete(run.evidence.specs[tap]):
            found.add(tap)
            shapes.add(run.evidence.specs[tap])
    return found


def _hidden(run: Run, policy: Policy, findings: Sequence[Finding]) -> list[str]:
    """Behind a mix that is allowed another one could not show: layers there that are not allowed as well."""
    sources = [finding.layer for finding in findings if finding.allowed and RULES[finding.rule].mixes]
    sources = [layer for layer in sources if policy.allows(layer)]
    near = {layer for source in sources for layer in _family(source, run)}
    after = [
        tap[0]
        for tap in run.evidence.order
        if tap[0] and tap[2].startswith("out") and run.entangled(tap) and tap[0] not in near
    ]
    hidden = [layer for layer in dict.fromkeys(after) if not policy.allows(layer)]
    if not sources or not hidden:
        return []
    named = ", ".join(map(repr, hidden[:3])) + (", …" if len(hidden) > 3 else "")
    mix, them = ("mixes", "it") if len(hidden) == 1 else ("mix", "them")
    return [
        f"whether {named} {mix} samples too: what comes in is mixed already, at {sources[0]!r}, which is allowed;"
        f" allow {them} as well, if that is fine"
    ]


def _family(layer: str, run: Run) -> Iterator[str]:
    """A layer, those around it and those inside it."""
    for other in run.session.layers:
        inside, outside = other.path + run.info.separator, layer + run.info.separator
        if other.path == layer or layer.startswith(inside) or other.path.startswith(outside):
            yield other.path


def _with_rounding(run: Run, tap: Tap) -> BatchIndex:
    """The batch index; of an output that others move in its last bits only, with how far."""
    if tap[0] or not run.rounded(tap):
        return run.indices[tap]
    return replace(run.indices[tap], max_ulp=run.moved_by_others(tap))


# -- the report --------------------------------------------------------------------------------------------------


def _report(run: Run, policy: Policy, tried: Sequence[int]) -> Report:
    findings = policy.apply(run.findings)
    failed = any(finding.severity == "error" and not finding.allowed for finding in findings)
    if not failed:
        run.inconclusive += _hidden(run, policy, findings)
    verdict: Verdict = "fail" if failed else "inconclusive" if run.inconclusive else "pass"
    silent = _silent(run)
    taps = tuple(
        TapVerdict(
            *tap, run.evidence.specs[tap].shape, dtype_name(run.evidence.specs[tap].dtype),
            _SILENT if tap in silent else _with_rounding(run, tap),
        )
        for tap in run.evidence.order
        if tap in run.indices
    )  # fmt: skip
    pictures = []
    for tap in run.outputs:
        moved_by = movement(run, tap)
        if moved_by is not None:
            size = range(run.evidence.size)
            pictures.append(
                Dependence(
                    tap[2],
                    tuple(tuple(moved in moved_by[part] for part in size) for moved in size),
                    run.title(tap),
                )
            )
    known = [layer.path for layer in run.session.layers] + [finding.layer for finding in findings]
    return Report(
        verdict, run.info.path, run.info.format, run.passes, tuple(tried), taps, tuple(findings), tuple(pictures),
        tuple(dict.fromkeys(run.inconclusive)), policy.unmatched(known), training_mode(run.session) is not None,
    )  # fmt: skip
