"""KMR101, KMR104, KMR105, KMR106: samples change each other, or cannot be separated, at an output."""

from __future__ import annotations

from kmr_cli.arrays.dtypes import discrete
from kmr_cli.check.axes import carrying_axes, movement, pairs, possible_axis
from kmr_cli.check.observed import LargeRun
from kmr_cli.check.probes.gentle import entangled_rows
from kmr_cli.check.probes.large import locate
from kmr_cli.check.rules.sizes import BATCH_SIZE_DEPENDENT
from kmr_cli.check.run import Run
from kmr_cli.check.silence import accept, kept_number, why_silent
from kmr_cli.check.sources import add_at_sources, add_mix, between
from kmr_cli.evidence.sources import Source
from kmr_cli.evidence.taps import Tap
from kmr_cli.rules import Precedence, Rule

CROSS_SAMPLE_LEAK = Rule(
    "KMR101",
    "cross-sample-leak",
    "error",
    "an output of one sample changes when only other samples change",
    "one user's request changes, or reveals something of, another user's answer",
    "compute over the axes of one sample only: no statistic, softmax, sort or attention over the batch axis",
    others=(("note", "the samples are separated again before the outputs"),),
    headline="samples of a batch change each other",
    gravity=100,
    needs_owners=True,
    mixes=True,
    batch_statistics="replaced",
    if_allowed="what comes after a layer that is allowed to mix cannot be judged",
    supersedes=(Precedence("output", ("KMR105", "KMR106", "KMR108")),),
)
BATCH_AXIS_LOST = Rule(
    "KMR104",
    "batch-axis-lost",
    "error",
    "an output has no axis that carries the samples",
    "the answers of a batch can't be separated",
    "reduce over the axes of one sample, and keep the batch axis",
    others=(("warning", "no sample changes the output at all"),),
    headline="samples of a batch can't be separated",
    gravity=80,
    needs_owners=True,
    mixes=True,
    batch_statistics="replaced",
    supersedes=(Precedence("output", ("KMR105", "KMR106", "KMR108")),),
)
SAMPLES_INTERLEAVED = Rule(
    "KMR105",
    "samples-interleaved",
    "error",
    "no axis of an output separates the samples",
    "each returned row holds pieces of several samples",
    "undo every transpose before a reshape that merges or splits the batch axis",
    headline="samples of a batch can't be separated",
    gravity=80,
    needs_owners=True,
    mixes=True,
    batch_statistics="replaced",
    supersedes=(Precedence("output", ("KMR108",)),),
)
SAMPLES_REORDERED = Rule(
    "KMR106",
    "samples-reordered",
    "error",
    "outputs come back in a different order than the inputs",
    "answers go to the wrong users",
    "apply the inverse of the permutation before the output",
    headline="samples of a batch come back in a different order",
    gravity=90,
    needs_owners=True,
    mixes=True,
    batch_statistics="replaced",
    supersedes=(Precedence("output", ("KMR108",)),),
)
OWNED = ("separated", "merged", "moved")
"""Kinds of an output whose every slice belongs to one sample, in the order of the samples."""
RULES = (CROSS_SAMPLE_LEAK, BATCH_AXIS_LOST, SAMPLES_INTERLEAVED, SAMPLES_REORDERED)


def judge(run: Run) -> None:
    """Whether it matters is decided here: at what the model returns."""
    elements = []
    for tap in run.outputs:
        if tap in run.evidence.nondeterministic or run.in_own_element(tap):
            continue
        if tap in run.evidence.listed and run.indices[tap].kind not in OWNED:  # else it holds all samples
            elements.append(tap)
            continue
        said = len(run.claims), len(run.inconclusive)
        kind = run.indices[tap].kind
        mixed = run.mixed(tap) and not run.rounded(tap)
        if mixed and carrying_axes(run, tap):
            samples = tuple(pairs(movement(run, tap) or []))
            add_mix(run, CROSS_SAMPLE_LEAK, SAMPLES_INTERLEAVED, tap, samples)
        elif mixed:
            add_at_sources(run, BATCH_AXIS_LOST, tap, run.clearly_entangled, allowed=tap in run.allowed_outputs)
        if kind == "routed":
            _judge_routed(run, tap)
        one_value = kind == "interleaved" and not run.evidence.specs[tap].shape  # of one sample, whichever it is
        if one_value:
            add_at_sources(run, BATCH_AXIS_LOST, tap, run.clearly_entangled, allowed=tap in run.allowed_outputs)
        elif kind == "interleaved":
            add_at_sources(run, SAMPLES_INTERLEAVED, tap, run.clearly_entangled)
        if kind == "reordered":
            add_at_sources(run, SAMPLES_REORDERED, tap, lambda other: run.indices[other].kind == "reordered")
        if kind in ("constant", "inconclusive") and not mixed:
            _judge_silent(run, tap)
        if kind in OWNED and discrete(run.evidence.specs[tap]):
            _judge_discrete(run, tap)
        silent = (len(run.claims), len(run.inconclusive)) == said and kind not in OWNED and not run.rounded(tap)
        if silent and tap not in run.allowed_outputs:
            why = f" ({run.indices[tap].evidence})" if run.indices[tap].evidence else ""
            what = f"{run.title(tap)}: no axis was shown to carry the samples{why}"
            run.not_verified(tap, f"{what}; return one row per sample along axis 0; {accept(run, tap)}")
    if elements:
        _judge_elements(run, elements)
    _judge_lists(run)


def _judge_elements(run: Run, elements: list[Tap]) -> None:
    """What one sample has of a list, where others change it, its shape included."""
    begins = _begins_in_elements(run)
    for tap in elements:
        sample = run.evidence.listed[tap]
        for source in begins:
            seen = f"; seen at {run.title(tap)}, which is sample {sample}'s of the list that the model returns"
            text = f"{CROSS_SAMPLE_LEAK.found_when}{between(source)}{seen}"
            run.add(CROSS_SAMPLE_LEAK, source, text, output=tap, once=True, allowed=tap in run.allowed_outputs)


def _begins_in_elements(run: Run) -> list[Source]:
    """Where it begins that others change a sample's element: in values, else in what tells whose a row is.

    Where rows begin depends on all rows before, in any model that returns such a list.
    """

    def foreign(tap: Tap) -> bool:
        return tap in run.evidence.listed and not run.in_own_element(tap)

    def values(tap: Tap) -> bool:
        return foreign(tap) or (run.mixed(tap) and not discrete(run.evidence.specs[tap]))

    def all_(tap: Tap) -> bool:
        index = run.indices.get(tap)
        return foreign(tap) or run.mixed(tap) or (index is not None and index.kind == "reordered")

    begins = [source for source in run.sources(values) if source.layer]
    if not begins and any(tap[0] and run.indices[tap].kind == "routed" for tap in run.evidence.order):
        entangled = entangled_rows(run)
        begins = run.sources(entangled.__contains__)
    return begins or run.sources(all_)


def _judge_lists(run: Run) -> None:
    """Outputs that come as a list with one element a sample: what of them was not shown."""
    own = [tap for tap in run.evidence.listed if run.in_own_element(tap)]
    if not own:
        return
    shown = {run.evidence.listed[tap] for tap in own if tap in run.evidence.listed_moved}
    for sample in sorted({run.evidence.listed[tap] for tap in own} - shown):
        empty = all(not run.evidence.specs[tap].nbytes for tap in own if run.evidence.listed[tap] == sample)
        why = "it is empty" if empty else "other data lead to the same"
        run.inconclusive.append(
            f"sample {sample}'s element of the list that the model returns did not change with it: {why};"
            " give data with --input in which there is something to find"
        )


def judge_large(run: Run, large: LargeRun) -> None:
    """A mix that begins above a batch size, a number of rows or a capacity."""
    title = run.title(large.leaks[0])
    for source in locate(run, large) or [Source(*large.leaks[0])]:
        text = f"{CROSS_SAMPLE_LEAK.found_when}{between(source)}; seen at {title} on a batch of {large.size}"
        run.add(CROSS_SAMPLE_LEAK, source, text, output=large.leaks[0], once=True)


def judge_order(run: Run, output: Tap, mixers: list[Source]) -> None:
    """A mix that only shows where the samples are in a different order."""
    for source in mixers:
        text = (
            f"{CROSS_SAMPLE_LEAK.found_when}; seen at {run.title(output)}, where the samples are in a different order"
        )
        run.add(CROSS_SAMPLE_LEAK, source, text)


def judge_inside(run: Run) -> None:
    """Mixes that are undone before the outputs: notes. Where samples met at an output there is nothing to add."""
    met = {rule.code for rule in (CROSS_SAMPLE_LEAK, BATCH_AXIS_LOST, SAMPLES_INTERLEAVED)}
    if any(finding.rule in met for finding in run.findings):
        return
    if any(tap in run.evidence.nondeterministic or run.mixed(tap) for tap in run.outputs):
        return
    shown = [tap for tap in run.outputs if run.indices[tap].axis is not None and not discrete(run.evidence.specs[tap])]
    if shown:  # every sample's own change shows in a value that is not discrete, and no other's: it is verified
        text = "samples mix here, and are separated again before the outputs"
        for source in run.mixers():
            if not run.after_router(source):  # else last bits, as far as anyone knows
                run.add(CROSS_SAMPLE_LEAK, source, text, severity="note")


def has_unnamed_samples(run: Run) -> bool:
    """Whether there is a mix of which no pair of samples is known, as only groups were replaced."""
    leaks = [finding for finding in run.findings if finding.rule == CROSS_SAMPLE_LEAK.code]
    return not run.evidence.singly and any(not finding.samples for finding in leaks)


def name_samples(run: Run, found: tuple[tuple[int, int], ...]) -> None:
    """Put the pairs that were found, (moved, changed), to the mixes of which none is known."""
    run.claims = [
        claim.with_samples(found)
        if claim.finding.rule == CROSS_SAMPLE_LEAK.code and not claim.finding.samples
        else claim
        for claim in run.claims
    ]


def _judge_routed(run: Run, tap: Tap) -> None:
    message = f"the shape of {run.title(tap)} depends on what the samples hold, so no axis shows whose row is whose"
    for source in run.sources(run.evidence.rerouted.__contains__):
        run.add(BATCH_AXIS_LOST, source, message, output=tap, allowed=tap in run.allowed_outputs)


def _judge_silent(run: Run, tap: Tap) -> None:
    kind, allowed, title = run.indices[tap].kind, tap in run.allowed_outputs, run.title(tap)
    if kind == "constant":
        if run.structure is None or not run.structure.owned(run.evidence.names, tap):
            kept = kept_number(run)
            known = {"steps": "as long as their lengths stay", "values": "as long as each holds as many values"}
            why = known[kept] if kept else "it is the same whatever goes in"
            text = f"no sample changes {title}{'' if kept else ':'} {why}"
            run.add(BATCH_AXIS_LOST, Source(*tap), text, severity="warning", output=tap, allowed=allowed)
        if not allowed:
            why = why_silent(run, tap)
            way_out = "" if accept(run, tap) in why else f"; {accept(run, tap)}"
            run.not_verified(tap, f"{title} did not change, whichever sample was replaced: {why}{way_out}")
        return
    if possible_axis(run, tap) is None:
        if run.structure is not None and run.structure.owned(run.evidence.names, tap):
            run.not_verified(tap, f"{title}: no axis was seen to carry the samples: {why_silent(run, tap)}")
        elif (rows := _unrolled(run, tap)) is not None:
            text = f"{title} has {rows} rows whatever the batch, one for each of the first samples, as of a loop over"
            text = f"{text} the samples that was unrolled when the model was written"
            for source in run.sources(lambda other: _holds_the_first(run, other, rows)) or [Source(*tap)]:
                run.add(BATCH_SIZE_DEPENDENT, source, text, output=tap, allowed=allowed)
        else:
            add_at_sources(run, BATCH_AXIS_LOST, tap, lambda other: _cannot_carry(run, other), allowed=allowed)
        return
    silent = sorted(set(range(run.evidence.size)) - set(run.indices[tap].owners))
    who = f"samples {', '.join(map(str, silent))} were" if len(silent) > 1 else f"sample {silent[0]} was"
    run.not_verified(tap, f"{title} did not change when {who} replaced: {why_silent(run, tap, silent)}")


def _unrolled(run: Run, tap: Tap) -> int | None:
    """The number of an output's rows, if each is a sample's of its own and there are as many at every other size."""
    index, shape = run.indices[tap], run.evidence.specs[tap].shape
    own = index.axis == 0 and len(shape) > 0 and index.owners == tuple(range(len(index.owners))) and shape[0] > 1
    others = [found.shapes[tap[2]] for found, _ in run.sizes if tap[2] in found.shapes]
    return shape[0] if own and others and all(other == shape for other in others) else None


def _holds_the_first(run: Run, tap: Tap, rows: int) -> bool:
    """Whether a tap has so many rows, each of its own among the first samples."""
    index, shape = run.indices[tap], run.evidence.specs[tap].shape
    return index.axis == 0 and shape[:1] == (rows,) and index.owners == tuple(range(rows))


def _cannot_carry(run: Run, tap: Tap) -> bool:
    """Whether some samples never showed at a tap, and no axis of it can be that of all of them."""
    return run.indices[tap].kind == "inconclusive" and possible_axis(run, tap) is None


def _judge_discrete(run: Run, tap: Tap) -> None:
    """A mix before an argmax or a comparison can stay hidden: nothing is verified by values that hardly ever change."""
    mixers = [source.layer for source in run.mixers() if source.layer]
    if any(run.mixed(other) for other in run.evidence.order):
        who = f"layer {mixers[0]!r}" if mixers else "a layer"
        run.not_verified(
            tap,
            f"{run.title(tap)} is discrete, and {who} before it mixes samples, which a decision may hide: return the"
            " scores behind it as another output, or look at that layer",
        )
