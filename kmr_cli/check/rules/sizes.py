"""KMR102, KMR103: what the same samples show in batches of other sizes."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from kmr_cli.check.observed import SizeRun
from kmr_cli.check.probes.sizes import dimensions_of
from kmr_cli.check.probes.trace import trace
from kmr_cli.check.probes.workable import related, square_input
from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.sources import Source
from kmr_cli.evidence.taps import Tap
from kmr_cli.records import Finding
from kmr_cli.rules import Rule

BATCH_SIZE_DEPENDENT = Rule(
    "KMR102",
    "batch-size-dependent",
    "error",
    "the model fails, or returns a different number of samples or different values, at some batch size",
    "a server that batches dynamically fails on the first batch of that size, or gives answers that depend on the load",
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
    "two axes that happen to have the same length are combined with each other, silently",
    "give the operand its missing axis (expand_dims), so that shapes agree at every batch size",
    headline="answers depend on the batch size",
    gravity=60,
    needs_owners=True,
    batch_statistics="note",
)
_SHOWN = 6
_FAILS, _ONLY = "fails", "runs only on"
RULES = (BATCH_SIZE_DEPENDENT, COINCIDENT_BROADCAST)


def judge(run: Run, found: SizeRun, *, coincident: bool) -> None:
    """The model fails at this size, or other numbers or values of samples come out: once for each of the two rules.

    Args:
        run: the check.
        found: what this size showed.
        coincident: the values differ where the size equals another dimension, and at no other.
    """
    rule = COINCIDENT_BROADCAST if found.differs is not None and coincident else BATCH_SIZE_DEPENDENT
    only = found.error is not None and _runs_where_equal(run)
    if only:
        rule = COINCIDENT_BROADCAST
    if run.reported(rule):
        return
    port, text = found.wrong_count or found.differs or ("out0", "")
    if found.error is not None:
        text = f"{_FAILS} {run.where(found)}: {found.error}"
        if only:
            text = f"{only_on(_running(run), dimensions_of(run))} and {text}"
        square = square_input(run.batch)
        text = f"{text}; {related(square)}" if square is not None else text
    elif found.differs is not None:
        text = f"{run.where(found)}: {text}"
    traced = trace(run, found.rows, failed=found.error is not None)
    sources = (traced and traced.sources) or [Source("", 0, port)]
    whole = run.evidence.size
    fails = found.error is not None or found.wrong_count is not None
    if fails and traced is not None and traced.bound and whole not in dimensions_of(run):
        sources, text = [Source(*traced.bound[0])], f"{text}; {has_rows(whole)}"
    for source in sources:
        run.add(rule, source, text)


def judge_failing(
    run: Run,
    failure: ModelRunError,
    failed: Tap | None,
    works: Sequence[int],
    fails: Collection[int],
    dimensions: Collection[int],
    bound: tuple[Tap, int] | None = None,
) -> None:
    """The model fails on the batch itself, and runs at some other sizes.

    Args:
        run: the check.
        failure: what it says to the batch.
        failed: the output of the layer that failed, where that is known.
        works: the sizes at which it runs.
        fails: those at which it fails.
        dimensions: other sizes of the inputs.
        bound: the output of a layer that has so many rows whatever the batch, where there is one.
    """
    rule = COINCIDENT_BROADCAST if coincides(works, dimensions) else BATCH_SIZE_DEPENDENT
    if len(works) > len(fails):
        some = ", ".join(map(str, works[:_SHOWN])) + (", …" if len(works) > _SHOWN else "")
        where = f"{_FAILS} on a batch of {run.evidence.size}, and runs on others ({some})"
    else:
        where = f"{only_on(works, dimensions)} and fails on one of {run.evidence.size}"
    text = f"{where}: {failure.message}"
    if bound is not None:
        failed, text = bound[0], f"{text}; {has_rows(bound[1])}"
    run.add(rule, Source(*(failed or ("", 0, "out0"))), text)


def has_rows(count: int) -> str:
    """What is said of a layer that the batch size was baked into, and behind which the model fails."""
    return f"what this layer returns has {count} rows whatever the batch"


def is_failure(finding: Finding) -> bool:
    """Whether it says that the model fails at some size, and not that it answers otherwise there."""
    codes = [rule.code for rule in RULES]
    return finding.rule in codes and finding.message.startswith((_FAILS, _ONLY))


def _running(run: Run) -> set[int]:
    """The sizes at which it ran."""
    return {run.evidence.size} | {found.size for found, _ in run.sizes if found.error is None}


def _runs_where_equal(run: Run) -> bool:
    """Whether it fails at two sizes or more, and runs on one sample and where the batch equals another dimension."""
    works, fails = _running(run), {found.size for found, _ in run.sizes if found.error is not None}
    return len(fails) > 1 and 1 in works and coincides(works, dimensions_of(run))


def coincides(works: Collection[int], dimensions: Collection[int]) -> bool:
    """Whether a model runs only where the batch size equals another dimension. One sample is broadcast to any size."""
    return {1, *dimensions} >= set(works) != {1}


def only_on(works: Collection[int], dimensions: Collection[int]) -> str:
    """``runs only on batches of 1 and 4 (4 is another dimension too)``."""
    *most, last = sorted(works)
    named = f"{', '.join(map(str, most))} and {last}" if most else str(last)
    batches = f"batches of {named}" if most else f"a batch of {named}"
    others = [size for size in sorted(works) if size > 1 and size in dimensions]
    what = "are other dimensions" if len(others) > 1 else "is another dimension"
    why = f" ({' and '.join(map(str, others))} {what} too)" if others and coincides(works, dimensions) else ""
    return f"{_ONLY} {batches}{why}"


def judge_unaffordable(run: Run) -> None:
    """Batch sizes at which the model does something else, and of which none could be run."""
    for sizes, size, nbytes in run.unaffordable:
        run.inconclusive.append(
            f"the model treats batches of {sizes} in another way, and none was run: its values would take"
            f" {nbytes / 1e9:.1f} GB (--batch-sizes {size} runs one)"
        )
