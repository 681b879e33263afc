"""Does the same batch give the same values, and if not: is it chance, or something kept between calls?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.arrays.digests import digest
from kmr_cli.arrays.dtypes import discrete
from kmr_cli.arrays.ulp import distance
from kmr_cli.batch import replacement, stress
from kmr_cli.batch.contents import in_order
from kmr_cli.batch.given import batch_size
from kmr_cli.check.probes.resized import resized
from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.taps import Tap, watch
from kmr_cli.formats.interface import KeepingSession, Session, State, Taps, ignored, training_mode
from kmr_cli.records import Batch

_MANY, _MOST_BYTES = 32, 10**9
"""Samples of the batch that tells state from chance, unless its values take more."""
_AGAIN = 2
"""Passes of one batch that are compared with each other."""


@contextmanager
def same_start(session: Session) -> Iterator[State | None]:
    """While it is open every pass begins with what the model holds now, which it holds again in the end.

    Yields:
        What that is; None where the format cannot put it back.
    """
    if not isinstance(session, KeepingSession):
        yield None
        return
    session.start = start = session.state()
    try:
        yield start
    finally:
        session.start = None
        start.restore()


def look_for_state(run: Run, reopen: Callable[[], Session] | None) -> None:
    """Whether something is kept between calls that changes later ones: fills in what :class:`Run` knows of that.

    Comes after a second pass of the batch. Five passes where the format can put back what was kept; four to six where
    values differ from run to run and only loading the model afresh tells why; else none.
    """
    if run.start is not None and run.start.changed():
        _leave_what_is_kept(run, run.start)
    elif run.evidence.nondeterministic and reopen is not None:
        large = _repeated(run)
        try:
            run.remembers, run.by_data = _remembers(run, reopen, large)
        except ModelRunError:
            if large is run.batch:
                raise
            run.remembers, run.by_data = _remembers(run, reopen, run.batch)
        # Nothing but seeds moved where what is kept can be read: random numbers that are the same for all samples.
        run.remembers = run.by_data or (run.remembers and run.start is None)


def _leave_what_is_kept(run: Run, start: State) -> None:
    """The batch after itself, and after other data, each time without putting back what was kept."""
    session, evidence = run.session, run.evidence
    assert isinstance(session, KeepingSession)
    everyone = range(evidence.size)
    # What is kept may be found again by a sample at one of the ends, as in a cache.
    between = list(everyone[1:-1]) or list(everyone[1:])
    after_others: list[dict[Tap, bytes]] = []
    session.start = None
    try:
        moved, after_itself = _later(run, "running the batch after itself")
        for replaced in (everyone, between) if between else (everyone,):
            start.restore()
            run.step("running other data")
            session.capture(
                replacement.replace(run.batch, replaced, session.inputs, run.rng), run.taps, ignored
            )  # fmt: skip
            moved_too, after_other = _later(run, "running the batch after other data")
            moved |= moved_too
            after_others.append(after_other)
    finally:
        session.start = start
    run.recalled = moved - evidence.nondeterministic
    run.remembers = bool(run.recalled)
    by_data = {
        tap for tap in run.recalled if any(after_itself.get(tap) != after.get(tap) for after in after_others)
    }  # fmt: skip
    outputs = [tap for tap in run.outputs if tap not in evidence.nondeterministic]
    hidden = bool(outputs) and all(discrete(evidence.specs[tap]) for tap in outputs)
    run.by_data = bool(by_data if hidden else by_data.intersection(outputs))


def _later(run: Run, doing: str) -> tuple[set[Tap], dict[Tap, bytes]]:
    """One pass of the batch: taps that differ from the first, and a digest of every value."""
    digests: dict[Tap, bytes] = {}

    def look(tap: Tap, array: np.ndarray) -> None:
        digests[tap] = digest(array)

    run.step(doing)
    return run.evidence.differing(run.session, run.batch, run.taps, also=look), digests


def look_again(run: Run) -> None:
    """Whether what seems to be a mix is chance that shows rarely, as where a layer is left out now and then.

    Up to two passes, where something shows: of a batch as large as servers form them, in which some sample is all but
    sure to be hit; of the batch itself where the model takes no such. What chance explains is taken back.
    """
    _leave_out_chance(run)
    if training_mode(run.session) is not None or not _something_shows(run):
        return  # in training mode random numbers are the same in every pass
    batch = _repeated(run)
    seen: dict[Tap, bytes] = {}
    outputs: dict[Tap, np.ndarray] = {}
    chance: set[Tap] = set()
    shows = False

    def look(layer: str, call: int, port: str, array: np.ndarray) -> None:
        nonlocal shows
        tap, found = (layer, call, port), digest(array)
        if not layer:
            before = outputs.setdefault(tap, np.array(array, copy=True))
            same = before.shape == array.shape
            shows = shows or not same or (not discrete(array) and distance(before, array) is None)
            shows = shows or (same and discrete(array) and bool(changed(before, array).any()))
        if seen.setdefault(tap, found) != found and tap in run.evidence.specs:
            chance.add(tap)

    for _ in range(_AGAIN):
        run.budget += 1
        run.step("running the same batch once more")
        try:
            watch(run.session, batch, run.taps, look)
        except ModelRunError:  # at this size: what it does at others is told elsewhere
            return
        if shows:  # beyond last bits, which the threads of a kernel may change in so large a batch
            _take_back(run, chance - run.evidence.nondeterministic)
            return


def _something_shows(run: Run) -> bool:
    """Whether an output seems to depend on other samples, or on the size of the batch."""
    steady = [tap for tap in run.outputs if tap not in run.evidence.nondeterministic]
    mixed = any((run.mixed(tap) and not run.rounded(tap)) or tap in run.poisoned for tap in steady)
    sizes = any(found.differs is not None or found.amplified is not None for found, _ in run.sizes)
    return mixed or sizes or (run.large is not None and bool(run.large.leaks))


def _take_back(run: Run, chance: set[Tap]) -> None:
    """What was seen of these taps says nothing."""
    run.evidence.nondeterministic |= chance
    for tap in chance & run.indices.keys():
        run.indices[tap] = run.evidence.index(tap)
        run.moved_by_extreme.pop(tap, None)
        run.poisoned.pop(tap, None)
        run.crossed.discard(tap)
    _leave_out_chance(run)


def _leave_out_chance(run: Run) -> None:
    """What other sizes showed of outputs that turned out to be random since."""
    ports = {port for layer, _, port in run.evidence.nondeterministic if not layer}
    run.sizes = [(found.without(ports), coincident) for found, coincident in run.sizes]
    if run.large is not None:
        leaks = tuple(tap for tap in run.large.leaks if tap not in run.evidence.nondeterministic)
        run.large = replace(run.large, leaks=leaks)


def find_noise(run: Run) -> int:
    """One pass with other random numbers, if the model is in training mode: what they reach. How many were run."""
    mode = training_mode(run.session)
    if mode is None:
        return 0
    run.step("drawing other random numbers")
    mode.noise += 1
    try:
        run.noisy = run.evidence.differing(run.session, run.batch, run.taps)
    finally:
        mode.noise -= 1
    return 1


def _repeated(run: Run) -> Batch:
    """The samples again and again, so that chance which shows rarely shows; as they are, where that is too much."""
    whole = run.evidence.size
    if (
        run.info.fixed_batch is not None
        or not run.info.takes(_MANY)
        or run.evidence.nbytes * _MANY > _MOST_BYTES * whole
    ):
        return run.batch
    return resized(run.batch, in_order(run.batch, tuple(place % whole for place in range(max(_MANY, whole)))))


def _remembers(run: Run, reopen: Callable[[], Session], batch: Batch) -> tuple[bool, bool]:
    """Whether the second result of a fresh model depends on its first call, and not on chance; and on that call's data.

    Random numbers that a fresh model draws in the same order every time depend on the number of calls alone, as a
    counter does. But they differ from sample to sample.
    """

    def results_of(*batches: Batch) -> list[list[np.ndarray]]:
        fresh = reopen()
        results = []
        try:
            for data in batches:
                run.step("distinguishing state from chance")
                outputs = fresh.capture(data, Taps(()), None)
                assert outputs is not None
                results.append([np.array(value) for value in outputs.values()])
        finally:
            fresh.close()
        return results

    size = batch_size(batch)
    first, second = results_of(batch, batch)
    same = stress.alike(replacement.replace(batch, range(size), run.session.inputs, run.rng), 0)
    again, copies = results_of(batch, same)
    if not _alike(first, again):
        return False, False  # chance, with no history at all
    copies_first, late = results_of(same, batch)
    by_data = not _alike(second, late)
    return by_data or _treated_alike(copies_first, copies, size), by_data


def _treated_alike(first: list[np.ndarray], second: list[np.ndarray], size: int) -> bool:
    """Whether copies of one sample come out otherwise by a later call, but all of them alike, but for rounding.

    Where they come out as before nothing is learned: mixing copies with each other, at random, changes nothing.
    """
    found = False
    for before, after in zip(first, second, strict=True):
        if discrete(after) or (before.shape == after.shape and distance(before, after) is not None):
            continue
        if not after.ndim or len(after) % size or not len(after):
            return False  # whose is what?
        parts = after.reshape(size, -1)
        if distance(np.broadcast_to(parts[0], parts.shape), parts) is None:
            return False
        found = True
    return found


def _alike(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(
        a.shape == b.shape and not changed(a, b).any() for a, b in zip(first, second, strict=True)
    )  # fmt: skip
