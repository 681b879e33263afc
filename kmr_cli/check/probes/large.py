"""One batch as large as servers form them: leaks that begin above a size, a number of rows or a capacity.

Three passes. In the first the samples of the batch stand in a random order, each several times, and must come out as
they did. Most places go to two that the model treats most unlike each other: so that an expert with a fixed number of
places is asked for more. In the second, all copies of about half of the samples, one of those two among them, give way
to other data, and what is left must stay as it was in the first, bit for bit. The third is a crowd: copies of one
sample and of its opposite. But where the first came out otherwise, and the second doesn't say by whom, the other half
gives way.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from kmr_cli.arrays.changes import differs
from kmr_cli.batch import replacement, stress
from kmr_cli.batch.contents import in_order
from kmr_cli.check.memory import give_back
from kmr_cli.check.observed import LargeRun, SizeRun
from kmr_cli.check.probes.crowd import PASSES as CROWD
from kmr_cli.check.probes.crowd import crowd
from kmr_cli.check.probes.extreme import most_unlike
from kmr_cli.check.probes.kept import Returned, leaks_at, leaks_in_lists, moved
from kmr_cli.check.probes.lists import elements_of, own_lists
from kmr_cli.check.probes.resized import expected_shape, outputs_of, places_of, resized
from kmr_cli.check.probes.rounding import excuse
from kmr_cli.check.probes.sizes import comparable, compared, dimensions_of
from kmr_cli.check.probes.trace import TRACES, supposed_index
from kmr_cli.check.quiet import is_quiet
from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.sources import Source
from kmr_cli.evidence.taps import Tap, watch
from kmr_cli.records import Batch, BatchIndex

AT_LEAST = 32
"""Samples of the large batch: servers form batches of 8 to 64."""
MOST_BYTES = 10**9
"""A batch whose tapped values take more is not run, unless it is asked for."""
FAR = 256
"""Samples at most of one that is larger, since the model compares something with a number of that size."""
PASSES = 2 + CROWD
"""At most, where nothing shows."""


def try_large(run: Run, size: int, spare: Batch | None) -> None:
    """Run the large batch, as it is and with other data in half of its places: fills in ``large``, adds to ``sizes``.

    Args:
        run: the check.
        size: of :func:`choose_large`.
        spare: further rows of the inputs, preferred as replacement data.
    """
    outputs, whole = comparable(run), run.evidence.size
    apart = whole - 1, most_unlike(run, whole - 1)
    rows = in_order(run.batch, _shuffled(whole, size, apart, run.rng))
    run.budget = max(run.budget, run.passes) + PASSES
    found, leaking = _twice(run, size, rows, apart, outputs, spare)
    if not found.wrong and leaking is None:
        leaking = crowd(run, size, outputs)
    if found.differs is not None and leaking is None:
        run.budget += TRACES + 1
        found = excuse(run, found)
    if found.wrong:
        run.budget += TRACES
    run.large = leaking
    run.sizes.append((found, False))


def _twice(
    run: Run,
    size: int,
    rows: tuple[int, ...],
    apart: tuple[int, int | None],
    outputs: Mapping[Tap, tuple[np.ndarray, BatchIndex]],
    spare: Batch | None,
) -> tuple[SizeRun, LargeRun | None]:
    """The first two passes: what the first showed, and the second where it showed a leak."""
    run.step(f"running a batch of {size}")
    give_back()
    before = outputs_of(run.session, resized(run.batch, rows), run.taps)
    if isinstance(before, ModelRunError):
        return SizeRun(size, rows, error=before.message), None
    elements = elements_of(run, before)
    found = compared(run, before, rows, outputs)
    if found.error is not None or found.wrong_count is not None:
        return found, None
    half = _half(run, apart)
    large = _replace_half(run, rows, half, (before, elements), outputs, spare)
    if found.differs is not None and large is not None and not large.leaks:
        rest = set(range(run.evidence.size)) - half
        large = _replace_half(run, rows, rest, (before, elements), outputs, spare)
    return found, large if large is not None and large.leaks else None


def choose_large(run: Run, wanted: Collection[int] = ()) -> int | None:
    """How many samples the large batch has; None where there is to be none.

    There is none where the batch is that large itself, the large one would take too much memory, the model takes one
    size alone, or nothing that it returns could be compared. It is larger where the model compares with larger numbers:
    it may ask how many samples there are.

    Args:
        run: the check, its batch done.
        wanted: the batch sizes that the user asks for; the largest is taken.
    """
    whole = run.evidence.size
    if run.info.fixed_batch is not None or not (comparable(run) or own_lists(run)):
        return None
    if wanted:
        return max(wanted) if max(wanted) > whole else None
    wished = max(AT_LEAST, _above(run))
    if whole >= wished:
        return None
    most = run.info.batch_range[1]
    size = wished if most is None else min(wished, most)
    taken = dimensions_of(run)
    while size in taken and size != most:
        size += 1
    if size <= whole:
        return None
    needed = run.evidence.nbytes * size // whole
    if needed > MOST_BYTES:
        run.too_large = size, needed
        return None
    return size


def _above(run: Run) -> int:
    """One more than the largest number that the model compares with, as far as such a batch is no burden.

    None of them matters where a proof covers every size.
    """
    if run.structure is not None and all(run.structure.separate(run.evidence.names, tap) for tap in run.outputs):
        return 0
    sizes = {math.floor(number) + 1 for number in run.comparands.compared if number < FAR}
    return max((size for size in sizes if run.evidence.nbytes * size // run.evidence.size <= MOST_BYTES), default=0)


def _shuffled(whole: int, size: int, apart: tuple[int, int | None], rng: np.random.Generator) -> tuple[int, ...]:
    """The samples at their own places first, then all once more and two of them again and again, in a random order.

    All about as often where the batch is too small for that, or no two are known to be ``apart``.
    """
    first, second = apart
    left = size - 2 * whole
    if second is None or left < 2:
        rest = np.tile(np.arange(whole), -(-size // whole))[: size - whole]
    else:
        rest = np.concatenate([np.arange(whole), np.full(left // 2, first), np.full(left - left // 2, second)])
    return (*range(whole), *rng.permutation(rest).tolist())


def _replace_half(
    run: Run,
    rows: Sequence[int],
    half: Collection[int],
    before: Returned,
    outputs: Mapping[Tap, tuple[np.ndarray, BatchIndex]],
    spare: Batch | None,
) -> LargeRun | None:
    """The second pass; None where the model does not take the data that was made up for it."""
    size = len(rows)
    kept = frozenset(place for place, sample in enumerate(rows) if sample in half)
    for by, changed in _attempts(run, rows, kept, spare):
        run.step(f"replacing half of a batch of {size}{by}")
        give_back()
        after = outputs_of(run.session, changed, run.taps)
        if not isinstance(after, ModelRunError):
            run.rare.note(changed)
            break
    if isinstance(after, ModelRunError):
        run.refused.append(f"a batch of {size} of which half is replaced (the model fails on it: {after.message})")
        return None
    now = after, elements_of(run, after)
    leaks = leaks_at(run, size, kept, outputs, before, now)
    leaks += leaks_in_lists(run, {place: rows[place] for place in sorted(kept)}, before, now)
    return LargeRun(size, resized(run.batch, rows), changed, kept, tuple(dict.fromkeys(leaks)))


def _attempts(run: Run, rows: Sequence[int], kept: Collection[int], spare: Batch | None) -> Iterator[tuple[str, Batch]]:
    """What to replace with, and how to say so: not every model takes a sample that is all zero, or made up at all.

    Each is made when it is asked for, and nothing else is held meanwhile: inputs may be large.
    """
    replaced = [place for place in range(len(rows)) if place not in kept]
    yield "", _unusual(run, _usual(run, rows, kept, replaced, spare), replaced)
    yield " by usual samples", _usual(run, rows, kept, replaced, spare)
    yield " by copies of the others", replacement.copies(resized(run.batch, rows), replaced)


def _unusual(run: Run, usual: Batch, replaced: Sequence[int]) -> Batch:
    """One sample that is all zero, and rare values in the others."""
    silent = stress.silent(usual, replaced[:1], run.session.inputs)
    return run.rare.put(silent, replaced[1:]) or silent


def _half(run: Run, apart: tuple[int, int | None]) -> set[int]:
    """About half of the samples, one of two that are ``apart`` among them.

    All copies of the others are replaced: of one that stood out none is left.
    """
    order = [sample for sample in run.rng.permutation(run.evidence.size).tolist() if sample not in apart]
    kept, gone = apart if run.rng.integers(2) else apart[::-1]
    order = [*([] if kept is None else [kept]), *order, *([] if gone is None else [gone])]
    return set(order[: (len(order) + 1) // 2])


def _usual(
    run: Run, rows: Sequence[int], kept: Collection[int], replaced: Sequence[int], spare: Batch | None
) -> dict[str, np.ndarray]:
    """Other valid data at all places but ``kept``, extreme at every second: what a maximum or a threshold needs."""
    changed = replacement.replace(resized(run.batch, rows), replaced, run.session.inputs, run.rng, spare)
    mild = [*kept, *replaced[::2]]
    return stress.extreme(changed, mild, run.session.inputs, run.rng) or changed


def locate(run: Run, large: LargeRun) -> list[Source]:
    """The layers at which samples of the large batch meet: two passes, which look at every tap."""
    kept: dict[Tap, np.ndarray] = {}
    moved: set[Tap] = set()

    def keep(layer: str, call: int, port: str, array: np.ndarray) -> None:
        tap = (layer, call, port)
        home = kept.get(run.evidence.canonical.get(tap, tap))
        same = home is not None and home.shape == array.shape and not differs(home, array)
        kept[tap] = home if home is not None and same else np.array(array, copy=True, order="C")

    def compare(layer: str, call: int, port: str, array: np.ndarray) -> None:
        tap = (layer, call, port)
        if tap in kept and _leaks(run, large, tap, kept[tap], array):
            moved.add(tap)

    run.step(f"keeping all values of a batch of {large.size}")
    watch(run.session, large.batch, run.taps, keep)
    run.step(f"looking inside at a batch of {large.size}")
    watch(run.session, large.changed, run.taps, compare)
    found = run.sources(moved.__contains__, list(kept))
    if any(
        tap[:2] == (one.layer, one.call) and tap[2].startswith("in") and run.mixed(tap) for one in found for tap in kept
    ):
        # What enters is mixed at any size, so that whose is what there could not be told: it begins earlier.
        return run.sources(lambda tap: tap in moved or run.mixed(tap), list(kept))
    return found


def _leaks(run: Run, large: LargeRun, tap: Tap, before: np.ndarray, after: np.ndarray) -> bool:
    """Whether what belongs to kept samples moved at a tap, as far as it is known whose is what there."""
    if before.shape != after.shape or tap in run.evidence.nondeterministic:
        return False
    whole, size = run.evidence.size, large.size
    if tap in run.indices:
        index, shape = supposed_index(run, tap), run.evidence.specs[tap].shape
        if is_quiet(run, tap):  # nobody's, in a batch of the usual size
            return _moved_rows(run, before, after, size, large.kept)
        if index.axis is None:
            return False
        if expected_shape(shape, index.axis, whole, size) != before.shape:
            return _moved_rows(run, before, after, size, large.kept)  # one number for all, of this size alone
        return moved(run, before, after, index.axis, places_of(index, shape, whole, size, large.kept))
    return _moved_rows(run, before, after, size, large.kept)  # a way that the model takes at this size alone


def _moved_rows(run: Run, before: np.ndarray, after: np.ndarray, size: int, kept: Collection[int]) -> bool:
    """The same of what nothing is known of: samples in order along axis 0, where that can be; else nobody's."""
    if not before.ndim or not len(before) or len(before) % size:
        return differs(before, after)
    share = len(before) // size
    return moved(run, before, after, 0, [place for place in range(len(before)) if place // share in kept])
