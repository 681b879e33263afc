"""What the same samples show in batches of other sizes, and at other places: KMR102, KMR103, KMR109, KMR303."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from kmr_cli.arrays.dtypes import discrete
from kmr_cli.check.observed import SizeRun, Trial
from kmr_cli.check.probes.masks import Mask
from kmr_cli.check.probes.resized import broken, sizes_to_try, trace_size, try_size
from kmr_cli.check.probes.rounding import excuse
from kmr_cli.check.rules.masks import judge_masks_at
from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.sources import Source, find_sources
from kmr_cli.evidence.taps import Tap, output_title
from kmr_cli.records import Batch, BatchIndex
from kmr_cli.rules import RULES as EVERY
from kmr_cli.rules import Rule

BATCH_SIZE_DEPENDENT = Rule(
    "KMR102",
    "batch-size-dependent",
    "error",
    "the model fails, or returns another number of samples or other values, at some batch size",
    "a server that batches dynamically fails on the first batch of that size, or answers by how many ask at once",
    "take the batch size from the input at run time, and let no value depend on it; name the axes of squeeze and"
    " reshape",
    headline="answers depend on the batch size",
    gravity=60,
    batch_statistics="note",
)
COINCIDENT_BROADCAST = Rule(
    "KMR103",
    "coincident-broadcast",
    "error",
    "a sample's value changes, or only works, when the batch size equals another dimension",
    "two axes that happen to be equal are multiplied with each other, silently",
    "give the operand its missing axis (expand_dims), so that shapes agree at every batch size",
    headline="answers depend on the batch size",
    gravity=60,
    needs_owners=True,
    batch_statistics="note",
)
RULES = (BATCH_SIZE_DEPENDENT, COINCIDENT_BROADCAST)

_SIZES_WITH_LEAK = 4
"""Other batch sizes tried where groups of samples were found to mix."""
_TRACES = 2
"""Passes that may look for the layers of what went wrong at another size."""


def try_sizes(run: Run, later: int) -> None:
    """The same samples in batches of other sizes, as many as leave passes of the budget to look for the layers."""
    size = run.evidence.size
    outputs = {tap: (run.evidence.base[tap], _index(run, tap)) for tap in run.outputs if not _hopeless(run, tap)}
    chosen = sizes_to_try(size, run.evidence.specs, run.evidence.nbytes, run.batch)
    if run.info.fixed_batch is not None:
        chosen = [Trial(size, coincident=False, shifted=True)]
    if not run.evidence.singly and any(run.mixed(tap) for tap in run.outputs):
        chosen = chosen[: max(1, _SIZES_WITH_LEAK - run.again)]  # what that saves names a pair of samples
    run.planned = min(run.passes + len(chosen), run.budget) + later
    for trial in chosen:
        left = run.budget - run.passes
        if left <= 0 or (left <= _TRACES + run.to_fill and any(found.wrong for found, _ in run.sizes)):
            return
        run.step("running the batch in another order" if trial.size == size else f"running a batch of {trial.size}")
        found = try_size(run.session, run.batch, trial, run.taps, outputs, run.noisy)
        room = run.budget - run.passes > _TRACES + 1 + run.to_fill
        if room or any(earlier.amplified for earlier, _ in run.sizes):
            found = excuse(run, found, look=room)
        run.sizes.append((found, trial.coincident))


def judge_sizes(run: Run) -> None:
    """KMR102, KMR103, KMR109, KMR303: what other sizes showed. An error costs up to two passes, to find the layer."""
    for found, _ in run.sizes:
        if found.amplified is not None and not found.wrong:
            _amplified(run, found)
        for port in found.unsure:
            title = output_title(port, found.names)
            run.inconclusive.append(f"{title} is discrete and differs for the same samples {_where(run, found)}")
    at_any = any(found.differs and not found.misplaced and not coincident for found, coincident in run.sizes)
    for found, coincident in run.sizes:
        known = {finding.rule for finding in run.findings}
        if not found.wrong:
            if found.ulp and "KMR303" not in known:
                text = f"the last bits differ {_where(run, found)} (at most {found.ulp} ULP of the largest value)"
                run.add("KMR303", Source("", 0, found.at or "out0"), text, max_ulp=found.ulp)
        elif found.differs is not None and found.misplaced:
            if "KMR109" not in known:
                _judge_place(run, found, known)
        else:
            code = "KMR103" if found.differs is not None and coincident and not at_any else "KMR102"
            if code not in known:
                _judge_size(run, found, code)


def _judge_size(run: Run, found: SizeRun, code: str) -> None:
    """The model fails at this size, or other numbers or values of samples come out."""
    port, text = found.wrong_count or found.differs or ("out0", "")
    if found.error is not None:
        text = f"fails {_where(run, found)}: {found.error}"
    elif found.differs is not None:
        text = f"{_where(run, found)}: {text}"
    traced = _traced(run, found.rows, failed=found.error is not None)
    for source in (traced and traced[0]) or [Source("", 0, port)]:
        run.add(code, source, text)


def _judge_place(run: Run, found: SizeRun, known: Collection[str]) -> None:
    """Only samples at other places than their own came out differently: is it the place, the neighbours or the size?

    In as large a batch as the first, but in another order, it cannot be the size. Where the layer at which it goes
    wrong takes in mixed values, it is the mix that shows.
    """
    assert found.differs is not None
    port = found.differs[0]
    size = run.evidence.size
    shifted = Trial(size, coincident=False, shifted=True).rows(size)
    traced = _traced(run, shifted, failed=False)
    by_size = traced is not None and not traced[0] and found.rows != shifted
    if (by_size or traced is None) and "KMR102" in known:
        return  # which explains it
    if by_size:
        traced = _traced(run, found.rows, failed=False)
    sources, right = traced or ([], set())
    sources = sources or [Source("", 0, port)]
    title = run.title(("", 0, port))
    mixers = [] if run.rounded(("", 0, port)) else mixing(run)
    if mixers and any(_takes_in_a_mix(run, source, mixers, right) for source in sources):
        for source in mixers:
            text = f"{EVERY['KMR101'].found_when}; seen at {title}, where the samples stand in another order"
            run.add("KMR101", source, text)
        return
    code, text = "KMR109", f"{title} of the same samples differs where they stand at another place"
    if by_size:
        code, text = "KMR102", f"{_where(run, found)}: {found.differs[1]}"
    for source in sources:
        run.add(code, source, text)


def _takes_in_a_mix(run: Run, source: Source, mixers: Collection[Source], right: Collection[Tap]) -> bool:
    """Whether what enters a layer, or the model's own code, depends on several samples, or the layer mixes them."""
    if not source.layer or any((source.layer, source.call) == (other.layer, other.call) for other in mixers):
        return True
    entered = [tap for tap in run.evidence.order if tap[:2] == (source.layer, source.call) and tap[2].startswith("in")]
    return any(run.mixed(tap) and tap not in right for tap in entered)


def _where(run: Run, found: SizeRun) -> str:
    return "in another order" if found.size == run.evidence.size else f"on a batch of {found.size}"


def mixing(run: Run) -> list[Source]:
    """The layers that mix samples, whether or not that showed in the outputs so far."""
    steady = [tap for tap in run.evidence.order if tap not in run.evidence.nondeterministic]
    return find_sources(steady, run.mixed, run.info.separator)


def _amplified(run: Run, found: SizeRun) -> None:
    """KMR303 as a warning, once: other values, but for no other reason than rounding."""
    if any(finding.rule == "KMR303" and finding.severity == "warning" for finding in run.findings):
        return
    port = found.amplified or "out0"
    text = (
        f"{output_title(port, found.names)} differs {_where(run, found)}, though no more than when the last bits"
        " of the input change: the model makes rounding larger"
    )
    run.add("KMR303", Source("", 0, port), text, severity="warning")


def _traced(run: Run, rows: Sequence[int], *, failed: bool) -> tuple[list[Source], set[Tap]] | None:
    """The layers at which a batch of these samples goes wrong, and taps that are right though mixed in last bits.

    None where no passes are left to look for them.
    """
    if run.budget - run.passes > run.to_fill:
        run.fill()
    elif not failed:
        return None
    known = {tap: (value, _index(run, tap)) for tap, value in run.evidence.base.items() if tap in run.indices}
    supposed = {tap for tap in known if tap[0] and run.indices[tap].axis is None and known[tap][1].axis is not None}
    run.step(f"looking inside at a batch of {len(rows)}")
    found = trace_size(run.session, run.batch, rows, run.taps, known, run.noisy, supposed)
    return find_sources(found.order, found.wrong.__contains__, run.info.separator), found.right


def _index(run: Run, tap: Tap) -> BatchIndex:
    """Whose every slice is; also of an output that is mixed in its last bits only, and of what may be so inside."""
    if tap[0]:
        told = not discrete(run.evidence.specs[tap]) and not run.evidence.rearranged.get(tap, False)
    else:
        told = run.rounded(tap)
    return (run.whose(tap) if told else None) or run.indices[tap]


def _hopeless(run: Run, tap: Tap) -> bool:
    """What is mixed or random differs at other sizes too: that is no second finding."""
    return (
        (run.mixed(tap) and not run.rounded(tap))
        or tap in run.evidence.nondeterministic
        or tap in run.evidence.rerouted
    )


def judge_failure(run: Run, masks: Sequence[Mask], failure: ModelRunError) -> list[int]:
    """The model fails on the batch itself: does it run at any size?"""
    size = run.evidence.size
    works = []
    dimensions = _dimensions(run.batch)
    for other in dict.fromkeys([1, 2, 3, *dimensions, 16, 32]):
        if other == size:
            continue
        run.step(f"running a batch of {other}")
        if try_size(run.session, run.batch, Trial(other, other in dimensions), run.taps, {}).error is None:
            works.append(other)
    if not works:
        raise failure
    # One sample is broadcast against anything.
    code = "KMR103" if {1, *dimensions} >= set(works) != {1} else "KMR102"
    if masks and any(judge_masks_at(run, masks, other) for other in works if other in dimensions):
        return [size, *works]
    listed = ", ".join(map(str, works))
    source = Source(*(broken(failure, run.evidence.order) or ("", 0, "out0")))
    run.add(code, source, f"fails on a batch of {size} and runs only at {listed}: {failure.message}")
    return [size, *works]


def _dimensions(batch: Batch) -> list[int]:
    """Other sizes of the inputs: what a hard-coded or coincident batch size may equal. At most four."""
    return list(dict.fromkeys(length for values in batch.values() for length in values.shape[1:] if length > 1))[:4]
