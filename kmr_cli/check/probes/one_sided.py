"""Questions of the whole batch: is all of it zero, below zero, short? Whoever says no answers for all.

So with numbers that the model itself names: is there room for all who hold this one?

One pass holds a sample of each kind, beside others that are none. Then, in a pass a kind, all samples are of it: the
one that was before must come out as it did.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.arrays.dtypes import discrete
from kmr_cli.arrays.ulp import distance, last_bits
from kmr_cli.batch.one_sided import Kind, kinds, of_kind
from kmr_cli.check.probes.parts import Parts, add_parts, moved_parts, parts_of
from kmr_cli.check.quiet import Quiet
from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.taps import Tap

_ASKING = Kind("hold the numbers that the model compares with", {})
PASSES = 6
"""At most, of :func:`make_one_sided`, of one input. One less where the batch is of four samples or more and the model
compares with nothing; one more where it is smaller and the model does."""


def further_passes(run: Run) -> int:
    """How many more :func:`make_one_sided` makes: of a model with several inputs, or that compares with numbers."""
    if len(run.batch) < 2:
        return 0
    count, size = len(list(_kinds(run))), run.evidence.size
    return max(0, count + -(-count // size) - PASSES)


def make_one_sided(run: Run) -> dict[Tap, int]:
    """Passes that hold a sample of each kind, and passes of one kind alone.

    Returns:
        Tap -> how far a sample's part differs between them, as :meth:`Evidence.kept` tells it. Last bits are none: a
        model may leave out its masks where nothing in the batch is masked.
    """
    left = list(_kinds(run))
    found: dict[Tap, int] = {}
    while left:
        # From the end: who comes last finds an expert full that all of them want.
        at = {run.evidence.size - 1 - place: kind for place, kind in enumerate(left[: run.evidence.size])}
        left = left[len(at) :]
        for tap, far in _try(run, at).items():
            found[tap] = max(far, found.get(tap, 0))
    return found


def ask(run: Run) -> dict[Tap, int]:
    """Two passes: the last sample holds the numbers that the model compares with, and then all do; as above."""
    last = run.evidence.size - 1
    return _try(run, {last: _ASKING}) if run.rare.asked(run.batch, [last]) is not None else {}


def _kinds(run: Run) -> Iterator[Kind]:
    """Who wants one thing of which there may not be enough comes first, and so stands last in the batch."""
    asked = run.rare.asked(run.batch, range(run.evidence.size))
    if asked is not None and any(changed(run.batch[name], values).any() for name, values in asked.items()):
        yield _ASKING
    yield from kinds(run.batch, run.session.inputs)


def _of_kind(run: Run, kind: Kind) -> dict[str, np.ndarray]:
    """All samples of a kind."""
    everyone = range(run.evidence.size)
    if kind is _ASKING:
        return run.rare.asked(run.batch, everyone) or {}
    return of_kind(run.batch, everyone, run.session.inputs, kind)


def _try(run: Run, at: dict[int, Kind]) -> dict[Tap, int]:
    """Samples of these kinds at these places, and then each of them among its like."""
    everyone = range(run.evidence.size)
    alone = {kind.name: _of_kind(run, kind) for kind in at.values()}
    data = {name: np.array(values, copy=True) for name, values in run.batch.items()}
    for sample, kind in at.items():
        for name, values in alone[kind.name].items():
            data[name][sample] = values[sample]
    beside: Parts = {}
    found: dict[Tap, int] = {}
    others = [sample for sample in everyone if sample not in at]
    quiet = Quiet(run, others[0] if others else 0)

    def see(tap: Tap, array: np.ndarray) -> None:
        quiet.look(tap, array)
        add_parts(run, tap, array, at, beside)

    doing = "making some samples one-sided"
    try:
        found = run.kept(doing, data, others, see)
        found = quiet.beside(found) if others else found
        _drop_rounding(run, found)
        for sample, kind in at.items():
            doing = f"making all samples {kind.name}"
            among = parts_of(run, doing, alone[kind.name], [sample], beside)
            if kind.name == "short" and _is_rounding(beside, among):
                continue  # trimmed to the longest, all is computed otherwise
            moved = moved_parts(run, {key: part for key, part in beside.items() if key in among}, among)
            _drop_rounding(run, moved)
            for tap, far in moved.items():
                found[tap] = max(far, found.get(tap, 0))
    except ModelRunError as exc:  # it may be right to refuse them
        run.refused.append(f"{doing} (the model fails on such made-up data: {exc.message})")
    return found


def _is_rounding(beside: Parts, among: Parts) -> bool:
    """Whether outputs are no further apart than kernels make them that get other shapes."""
    return all(
        isinstance(before := beside[key], np.ndarray)
        and before.shape == part.shape
        and (not changed(before, part).any() if discrete(part) else distance(before, part) is not None)
        for key, part in among.items()
        if isinstance(part, np.ndarray) and key in beside
    )


def _drop_rounding(run: Run, moved: dict[Tap, int]) -> None:
    """Leave nothing where outputs differ in their last bits alone."""
    outputs = [last_bits(far, run.evidence.specs[tap].dtype.itemsize) for tap, far in moved.items() if not tap[0]]
    if outputs and all(outputs):
        moved.clear()
