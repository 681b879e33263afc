"""Batches of other sizes, as many as the budget leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kmr_cli.batch.contents import in_order
from kmr_cli.check.observed import SizeRun, Trial
from kmr_cli.check.probes.lists import by_port, elements_of, hold_lists
from kmr_cli.check.probes.resized import alike, hold, outputs_of, resized, sizes_to_try
from kmr_cli.check.probes.rounding import excuse
from kmr_cli.check.probes.trace import TRACES, supposed_index
from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.taps import Tap
from kmr_cli.records import Batch, BatchIndex

_SIZES_WITH_LEAK = 4
"""Other batch sizes tried where groups of samples were found to mix."""


def try_sizes(run: Run, later: int, wanted: Sequence[int] | None = None) -> None:
    """The same samples in batches of other sizes, as many as leave passes of the budget to look for the layers.

    Args:
        run: the check.
        later: how many passes other probes will run afterwards.
        wanted: the sizes that the user asks for, all of which are tried; None for those that show most.
    """
    outputs = comparable(run)
    chosen = _chosen(run, wanted)
    if wanted is not None:
        run.budget = max(run.budget, run.passes + len(chosen) + TRACES + 1 + run.to_fill)
    elif not run.evidence.singly and any(run.mixed(tap) for tap in run.outputs):
        chosen = chosen[: max(1, _SIZES_WITH_LEAK - run.again)]  # what that saves names a pair of samples
    run.planned = min(run.passes + len(chosen), run.budget) + later
    for trial in chosen:
        left = run.budget - run.passes
        spent = left <= 0 or (left <= TRACES + run.to_fill and any(found.wrong for found, _ in run.sizes))
        if spent and wanted is None:
            return
        run.step(
            "running the batch in another order"
            if trial.size == run.evidence.size
            else f"running a batch of {trial.size}"
        )
        found = _try(run, trial, outputs)
        room = run.budget - run.passes > TRACES + 1 + run.to_fill
        if room or any(earlier.amplified for earlier, _ in run.sizes):
            found = excuse(run, found, look=room)
        run.sizes.append((found, trial.coincident))


def try_size(run: Run, size: int) -> SizeRun:
    """The first samples of the batch alone, or all and some of them again."""
    run.step(f"running a batch of {size}")
    return _try(run, Trial(size, coincident=False), comparable(run))


def in_batch_of(run: Run, size: int) -> Batch:
    """The samples of the batch in one of another size, again and again where that is larger."""
    return resized(run.batch, in_order(run.batch, Trial(size, coincident=False).rows(run.evidence.size)))


def _try(run: Run, trial: Trial, outputs: Mapping[Tap, tuple[np.ndarray, BatchIndex]]) -> SizeRun:
    """Run some of the samples, or all in another order, and compare them."""
    rows = in_order(run.batch, trial.rows(run.evidence.size))
    found = outputs_of(run.session, resized(run.batch, rows), run.taps)
    if isinstance(found, ModelRunError):
        return SizeRun(trial.size, rows, error=found.message)
    return compared(run, found, rows, outputs)


def compared(
    run: Run,
    found: Mapping[str, np.ndarray],
    rows: tuple[int, ...],
    outputs: Mapping[Tap, tuple[np.ndarray, BatchIndex]],
) -> SizeRun:
    """What a model returned for some of the samples, in the pass just made, held against what is known of them.

    Args:
        run: the check.
        found: the outputs, by name.
        rows: which sample stood at each place.
        outputs: of :func:`comparable`.
    """
    elements, size = elements_of(run, found), len(rows)
    after = by_port(run, found, elements)
    if not run.evidence.listed and len(after) != len(run.outputs):
        text = (
            f"returns {len(after)} outputs on a batch of {size}, and {len(run.outputs)} on one of {run.evidence.size}"
        )
        missing = next((port for port, name in run.evidence.names.items() if name not in found), "out0")
        return SizeRun(size, rows, wrong_count=(missing, text))
    result = hold(after, rows, run.evidence.size, outputs, run.evidence.names, run.noisy)
    return hold_lists(run, found, elements, result)


def _chosen(run: Run, wanted: Sequence[int] | None) -> list[Trial]:
    """The batches to try; the last one of those that the user asks for is the batch itself in another order."""
    size, dimensions = run.evidence.size, dimensions_of(run)
    in_another_order = Trial(size, coincident=False, shifted=True)
    if run.info.fixed_batch is not None:
        return [in_another_order]
    if wanted is None:
        found = sizes_to_try(size, run.evidence.specs, run.evidence.nbytes, run.batch)
        return [trial for trial in found if run.info.takes(trial.size)] or [in_another_order]
    return [*(Trial(other, other in dimensions) for other in wanted if other != size), in_another_order]


def comparable(run: Run) -> dict[Tap, tuple[np.ndarray, BatchIndex]]:
    """Outputs that must be the same for the same samples in any other batch -> value, and whose every slice is."""
    return {tap: (run.evidence.base[tap], _index(run, tap)) for tap in run.outputs if not _hopeless(run, tap)}


def _index(run: Run, tap: Tap) -> BatchIndex:
    """Whose every slice of an output is; one that no sample moves, and that is alike in all rows, may have one each."""
    index, value = supposed_index(run, tap), run.evidence.base[tap]
    if index.kind == "constant" and tap in run.allowed_outputs:
        return BatchIndex("inconclusive")
    if index.kind == "constant" and value.ndim and len(value) == run.evidence.size and alike(value):
        return BatchIndex("constant", 0, tuple(range(len(value))))
    return index


def dimensions_of(run: Run) -> set[int]:
    """All sizes that axes of the taps have, but for the first: with which a batch size may coincide."""
    specs, nothing = run.evidence.specs, BatchIndex("constant")
    return {length for tap in specs for length in other_lengths(specs[tap].shape, run.indices.get(tap, nothing))}


def other_lengths(shape: Sequence[int], index: BatchIndex) -> list[int]:
    """How long the axes are that do not carry the samples."""
    return [length for axis, length in enumerate(shape) if axis not in (0, index.axis)]


def _hopeless(run: Run, tap: Tap) -> bool:
    """What is mixed or random differs at other sizes too: that isn't a second finding."""
    return (
        (run.mixed(tap) and not run.rounded(tap))
        or tap in run.evidence.nondeterministic
        or tap in run.evidence.rerouted
    )
