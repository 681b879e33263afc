"""What the same samples show in batches of other sizes, and at other places: KMR102, KMR103, KMR109, KMR303."""

from __future__ import annotations

from collections.abc import Sequence

from kmr_cli.blame import Source, find_sources
from kmr_cli.check_run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence import Tap, output_title
from kmr_cli.mask_rules import judge_masks_at
from kmr_cli.masks import Mask
from kmr_cli.records import Batch
from kmr_cli.rounding import excuse
from kmr_cli.rules import RULES
from kmr_cli.sizes import SizeRun, Trial, broken, sizes_to_try, trace_size, try_size

_SIZES_WITH_LEAK = 4
"""Other batch sizes tried where groups of samples were found to mix."""
_TRACES = 2
"""Passes that may look for the layers of what went wrong at another size."""


def try_sizes(run: Run, later: int) -> None:
    """The same samples in batches of other sizes, as many as leave passes of the budget to look for the layers."""
    size = run.evidence.size
    outputs = {tap: (run.evidence.base[tap], run.indices[tap]) for tap in run.outputs if not _hopeless(run, tap)}
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
    """KMR102, KMR103, KMR109, KMR303: what other sizes showed. An error costs one more pass, which finds the layer."""
    known = {finding.rule for finding in run.findings}
    at_any = any(found.differs and not found.misplaced and not coincident for found, coincident in run.sizes)
    for found, coincident in run.sizes:
        code = "KMR102" if found.wrong else "KMR303"
        if found.differs is not None and found.misplaced:
            code = "KMR101" if mixing(run) else "KMR109"
        elif found.differs is not None and coincident and not at_any:
            code = "KMR103"
        if found.amplified is not None and not found.wrong:
            _amplified(run, found)
        if code in known or not (found.wrong or found.ulp):
            continue
        if code == "KMR303":
            where = f"on a batch of {found.size}" if found.size != run.evidence.size else "in another order"
            text = f"the last bits differ {where} (at most {found.ulp} ULP of the largest value)"
            run.add(code, Source("", 0, found.at or "out0"), text, max_ulp=found.ulp)
            known.add(code)
            continue
        port, text = found.wrong_count or found.differs or ("out0", "")
        if code == "KMR101":  # a mix that showed nothing so far does where others stand before and after
            known.add(code)
            for source in mixing(run):
                where = f"seen at {run.title(('', 0, port))}, where the samples stand in another order"
                run.add(code, source, f"{RULES[code].found_when}; {where}")
            continue
        if found.error is not None:
            text = f"fails on a batch of {found.size}: {found.error}"
        elif found.differs is not None:
            text = f"on a batch of {found.size}: {text}"
        shifted = Trial(run.evidence.size, coincident=False, shifted=True).rows(run.evidence.size)
        sources = _traced(run, found.rows if code != "KMR109" else shifted, failed=found.error is not None)
        if code == "KMR109" and sources == []:
            # In as large a batch they are as they were at any place: it was the size.
            code, sources = "KMR102", _traced(run, found.rows, failed=False)
        elif code == "KMR109":
            text = f"{run.title(('', 0, port))} of the same samples differs where they stand at another place"
        if code not in known:
            known.add(code)
            for source in sources or [Source("", 0, port)]:
                run.add(code, source, text)


def mixing(run: Run) -> list[Source]:
    """The layers that mix samples, whether or not that showed in the outputs so far."""
    steady = [tap for tap in run.evidence.order if tap not in run.evidence.restless]
    return find_sources(steady, run.mixed, run.info.separator)


def _amplified(run: Run, found: SizeRun) -> None:
    """KMR303 as a warning, once: other values, but for no other reason than rounding."""
    if any(finding.rule == "KMR303" and finding.severity == "warning" for finding in run.findings):
        return
    port = found.amplified or "out0"
    text = (
        f"{output_title(port, found.names)} differs on a batch of {found.size}, though no more than when the last bits"
        " of the input change: the model makes rounding larger"
    )
    run.add("KMR303", Source("", 0, port), text, severity="warning")


def _traced(run: Run, rows: Sequence[int], *, failed: bool) -> list[Source] | None:
    """The layers at which a batch of these samples goes wrong; None where no passes are left to look for them."""
    if run.budget - run.passes > run.to_fill:
        run.fill()
    elif not failed:
        return None
    known = {tap: (value, run.indices[tap]) for tap, value in run.evidence.base.items() if tap in run.indices}
    run.step(f"looking inside at a batch of {len(rows)}")
    order, wrong = trace_size(run.session, run.batch, rows, run.taps, known, run.noisy)
    return find_sources(order, wrong.__contains__, run.info.separator)


def _hopeless(run: Run, tap: Tap) -> bool:
    """What is mixed or random differs at other sizes too: that is no second finding."""
    return run.mixed(tap) or tap in run.evidence.restless or tap in run.evidence.rerouted


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
