"""A large batch of two kinds of sample, half and half: what takes a number of rows is asked for more than it takes.

Copies of one sample must all come out the same. The first that does not is run among the other kind alone, and among
all kinds: what it lost to its like it has there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.arrays.dtypes import discrete
from kmr_cli.arrays.ulp import distance
from kmr_cli.batch import stress
from kmr_cli.check.memory import give_back
from kmr_cli.check.observed import LargeRun
from kmr_cli.check.probes.kept import Returned, leaks_at
from kmr_cli.check.probes.lists import by_port, elements_of
from kmr_cli.check.probes.resized import outputs_of, places_of, resized
from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.taps import Tap
from kmr_cli.records import Batch, BatchIndex

PASSES = 4
"""At most."""
_OPPOSITE = -4.0
"""So much of a sample outweighs the constant that a router adds."""
Outputs = Mapping[Tap, tuple[np.ndarray, BatchIndex]]


def crowd(run: Run, size: int, outputs: Outputs) -> LargeRun | None:
    """Run copies of a sample and of its opposite, in a random order.

    What one of them wants the other most likely doesn't: one expert or the other is full then, whichever it is. Ids
    have no opposite: of them two pairs are tried.

    Args:
        run: the check.
        size: of a large batch, in which nothing showed so far.
        outputs: what can be compared -> its value in the batch of the check, and whose every slice is there.

    Returns:
        The two batches, where a copy changed with the others; else None.
    """
    for pair in _pairs(run):
        kinds = run.rng.permutation(np.arange(size) % 2).tolist()
        batch = resized(pair, kinds)
        among = _returned(run, batch, f"running a batch of {size} of two kinds")
        place = None if among is None else _first_other(run, kinds, among, outputs)
        if among is not None and place is not None:
            return _confirmed(run, pair, kinds, place, among, outputs)
    return None


def _confirmed(
    run: Run, pair: Batch, kinds: Sequence[int], place: int, among: Returned, outputs: Outputs
) -> LargeRun | None:
    """Whether what stands at a place changes with the others: where these are of the other kind, or of many."""
    size, batch = len(kinds), resized(pair, kinds)
    usual = resized(run.batch, [number % run.evidence.size for number in range(size)])
    for what, data in (("the other", resized(pair, [1 - kinds[place]] * size)), ("many kinds", usual)):
        for name, values in data.items():
            values[place] = batch[name][place]
        alone = _returned(run, data, f"running a batch of {size} of {what} but for one")
        leaks = [] if alone is None else leaks_at(run, size, [place], outputs, among, alone)
        if leaks:
            return LargeRun(size, batch, data, frozenset([place]), tuple(leaks))
    return None


def _pairs(run: Run) -> Iterator[Batch]:
    """A sample but the last, of which there were many before, and its opposite; two pairs where it has none."""
    size = run.evidence.size
    order = run.rng.permutation(max(1, size - 1)).tolist()
    first = order[0]
    opposite = stress.larger(run.batch, [], run.session.inputs, _OPPOSITE)
    if opposite is not None and any(_differ(values, opposite[name], first) for name, values in run.batch.items()):
        yield {name: np.stack([values[first], opposite[name][first]]) for name, values in run.batch.items()}
        return
    order = [*order, size - 1][:4]
    for pair in (order[:2], order[2:]):
        if len(pair) == 2:
            yield resized(run.batch, pair)


def _differ(values: np.ndarray, others: np.ndarray, row: int) -> bool:
    return bool(changed(np.asarray(values[row]), np.asarray(others[row])).any())


def _returned(run: Run, batch: Batch, doing: str) -> Returned | None:
    run.step(doing)
    give_back()
    found = outputs_of(run.session, batch, run.taps)
    if isinstance(found, ModelRunError):
        run.refused.append(f"{doing} (the model fails on such made-up data: {found.message})")
        return None
    return found, elements_of(run, found)


def _first_other(run: Run, kinds: Sequence[int], among: Returned, outputs: Outputs) -> int | None:
    """The first place at which a copy came out otherwise than the first of its kind, beyond rounding."""
    found: list[int] = []
    ports = by_port(run, *among)
    for tap, (value, index) in outputs.items():
        if index.kind == "constant" or tap[2] not in ports:
            continue
        after = ports[tap[2]]
        first = [_part(run, after, value, index, kinds, kinds.index(kind)) for kind in (0, 1)]
        for place, kind in enumerate(kinds):
            part = _part(run, after, value, index, kinds, place)
            if part is not None and not _agree(first[kind], part, after):
                found.append(place)
    return min(found, default=None)


def _part(
    run: Run, after: np.ndarray, value: np.ndarray, index: BatchIndex, kinds: Sequence[int], place: int
) -> np.ndarray | None:
    places = places_of(index, value.shape, run.evidence.size, len(kinds), [place])
    axis = index.axis or 0
    if not places or after.ndim != value.ndim or max(places) >= after.shape[axis]:
        return None
    return np.take(after, places, axis)


def _agree(first: np.ndarray | None, other: np.ndarray, beside: np.ndarray) -> bool:
    if first is None or discrete(other):
        return first is None or not changed(first, other).any()
    return distance(first, other, beside) is not None
