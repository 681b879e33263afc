"""Passes that are hard on a model: what shows only when the other samples are extreme, all alike, or NaN."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

import numpy as np

from kmr_cli.arrays.changes import changed, differs
from kmr_cli.arrays.digests import digests
from kmr_cli.arrays.dtypes import discrete
from kmr_cli.arrays.ulp import FAR, distance, largest, last_bits, scaled_distance
from kmr_cli.batch import stress
from kmr_cli.batch.contents import may_refuse_nan
from kmr_cli.check.probes.gaps import PASSES as GAPS
from kmr_cli.check.probes.gaps import leave_gaps, stay_faint
from kmr_cli.check.probes.one_sided import PASSES as ONE_SIDED
from kmr_cli.check.probes.one_sided import make_one_sided
from kmr_cli.check.probes.parts import Parts, add_parts, moved_parts
from kmr_cli.check.probes.resized import broken
from kmr_cli.check.quiet import Quiet
from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.taps import Tap
from kmr_cli.records import Batch, BatchIndex

_SMALL = 64
"""Numbers of one sample up to which a tap tells how unlike two samples are: gates, scores and decisions are small."""


PASSES = 8 + GAPS + ONE_SIDED
"""At most, of :func:`make_others_extreme`."""
_FEW, SMALLEST, _LARGER = 5, 4, "making the others"
"""Others without which there is nothing to compare: then one sample alone stands as it is. Without even as many as the
second, none of them is faint beside the rest."""
_NUMBERS = re.compile(r"[-+]?(\d[\d.e+-]*|nan|inf)")
_POISONS = (
    ("NaN", np.nan, "sample 0"), ("Inf", np.inf, "all samples but the last"), ("-Inf", -np.inf, "all but the first"),
)  # fmt: skip


def make_others_extreme(run: Run) -> None:
    """At most :data:`PASSES` that leave a stated sample alone and are hard on the others.

    The others are made ten times as large, and then so large that the sample is silent beside them; copies of it, or of
    one that the model treats otherwise; one step of one of them again and again; NaN and Inf. The sample is left in
    part missing, beside two different sets of others, and another one altogether; and zero or of one sign, among its
    like and beside others. All that comes to every place of the batch once: a question may be put to whoever stands in
    the middle. Of two or three samples, one is faint beside two sets of others, as one of more is in the first passes.

    Fills in ``moved_by_extreme``, ``poisoned``, ``crossed`` and ``poison_failure``.
    """
    size = run.evidence.size
    if size < 2:
        return
    last = size - 1
    _make_larger(run, last)
    if size < SMALLEST:
        note(run, stay_faint(run, last))
    _make_alike(run, last)
    one_step = stress.monotonous(run.batch, last, int(run.rng.integers(last)), int(run.rng.integers(1 << 16)))
    run_with(run, "repeating one step in the others", last, one_step)
    note(run, make_one_sided(run))
    missing = _poison(run)
    gaps = leave_gaps(run, last, missing)  # what NaN spoils in any case is poison
    if any(not tap[0] and tap not in run.poisoned for tap in gaps):
        note(run, {tap: far for tap, far in gaps.items() if tap not in run.poisoned})
    settle(run)


def settle(run: Run) -> None:
    """Give what such passes showed to all taps of a tensor, of which one was looked at; drop what chance explains."""
    for tap, home in run.evidence.canonical.items():  # the same tensor was looked at once
        if home in run.moved_by_extreme:
            run.moved_by_extreme.setdefault(tap, run.moved_by_extreme[home])
        if home in run.crossed:
            run.crossed.add(tap)
        if tap in run.moved_by_extreme and run.indices[tap].kind == "interleaved":
            run.indices[tap] = BatchIndex("mixed")
    for tap in run.evidence.nondeterministic | run.evidence.rerouted:
        run.moved_by_extreme.pop(tap, None)
        run.poisoned.pop(tap, None)
        run.crossed.discard(tap)
    if run.routes:  # rows in other groups: last bits aren't poison
        run.poisoned = {tap: ulp for tap, ulp in run.poisoned.items() if not last_bits(ulp)}


def _look_beyond(run: Run, tap: Tap, array: np.ndarray) -> None:
    """Note whether NaN in sample 0 changes what no sample moves otherwise, as a sum of zeros, at other places than its.

    Nobody owns such a value. But here NaN leaves its sample, though others show it only where they take the value in.
    Where rows are in an order that the samples decide, whose is which isn't known: there NaN in more rows than one
    sample has is as much.
    """
    index, before = run.indices.get(tap), run.evidence.base.get(tap)
    if index is None or before is None or before.shape != array.shape:
        return
    if index.kind == "mixed" and index.axis is None and run.routed:
        if array.ndim and len(array) % run.evidence.size == 0 and array.dtype.kind in "fc":
            spoilt = (np.isnan(array) & ~np.isnan(before)).reshape(len(array), -1).any(1)
            if spoilt.sum() > len(array) // run.evidence.size:
                run.crossed.add(tap)
        return
    if index.kind != "constant":
        return
    moved = changed(before, array)
    if array.ndim and len(array) % run.evidence.size == 0:
        moved = moved[len(array) // run.evidence.size :]
    if moved.any():
        run.crossed.add(tap)


def _make_larger(run: Run, last: int) -> None:
    """The others ten times as large and with ids from all over, and then so large that a sample is silent beside them.

    The first and the last sample stand as they are, in a small batch the last alone. Some of the others are the same in
    both passes, and must come out the same: a sample may have to be out of the ordinary itself before it looks at
    others. The last of these is faint rather than loud.
    """
    kept = [last] if last < _FEW else [0, last]
    others = [sample for sample in range(last) if sample not in kept]
    same = others[: -(-len(others) // 2)] if len(kept) == 1 < len(others) else others[: len(others) // 2]
    first: Parts = {}
    data: Batch | None = None
    for doing, scale in (("extreme", stress.LARGER), ("far larger", stress.FAR_LARGER)):
        larger = stress.extreme(run.batch, kept, run.session.inputs, run.rng, scale) or run.batch
        fresh = others if data is None else [sample for sample in others if sample not in same]
        made = run.rare.put_ids(larger, fresh) or (larger if larger is not run.batch else None)
        if made is None:
            return
        for name, values in (data or {}).items():
            made[name][same] = values[same]
        if data is None and len(same) > 1:
            for name, values in stress.faint(run.batch, same[-1:], run.session.inputs).items():
                made[name][same[-1]] = values[same[-1]]
        now: Parts = {}
        run_with(run, f"{_LARGER} {doing}", last, made, partial(_add_parts, run, same, now), beside=kept)
        if data is not None:
            moved = moved_parts(run, {key: part for key, part in first.items() if key in now}, now)
            specs = run.evidence.specs
            if any(not tap[0] and not last_bits(ulp, specs[tap].dtype.itemsize) for tap, ulp in moved.items()):
                note(run, moved)
        data, first = made, now


def _add_parts(run: Run, samples: Sequence[int], parts: Parts, tap: Tap, array: np.ndarray) -> None:
    add_parts(run, tap, array, samples, parts)


def note(run: Run, moved: Mapping[Tap, int]) -> None:
    """Where a sample changed though it stood as it was, and how far."""
    for tap, ulp in moved.items():
        run.moved_by_extreme[tap] = max(ulp, run.moved_by_extreme.get(tap, 0))


def _poison(run: Run) -> Parts:
    """NaN in sample 0, then Inf and -Inf at every place, a pass each; no more once the model has failed on one.

    Returns what sample 0 gave that held nothing but NaN.

    Who holds Inf at an end of the batch, where there is one pass of it, holds both kinds.
    What is multiplied by zero carries all three. Where Inf alone shows it isn't poison but an extreme: there a model
    asks whether anything is as large, maybe at one place alone.
    """
    everyone = range(run.evidence.size)
    missing: Parts = {}

    def look_beyond(tap: Tap, array: np.ndarray) -> None:
        _look_beyond(run, tap, array)
        add_parts(run, tap, array, [0], missing)

    for (word, value, where), rows in zip(_POISONS, (everyone[:1], everyone[:-1], everyone[1:]), strict=True):
        poisoned = stress.poisoned(run.batch, rows, run.session.inputs, value)
        if poisoned is None:
            return missing
        if word != "NaN":
            stress.mix_signs(poisoned, rows[0] if word == "Inf" else rows[-1])
        run.poison_tried = True
        kept = [sample for sample in everyone if sample not in rows]
        quiet = Quiet(run, kept[-1])
        look = look_beyond if word == "NaN" else quiet.look
        try:
            moved = run.kept(f"putting {word} into {where}", poisoned, kept, look)
        except ModelRunError as exc:
            large = [line for line in run.refused if line.startswith(_LARGER)]
            bounded = any(word != "NaN" or _is_same_complaint(exc.message, line) for line in large)
            if bounded or run.whole_rows or may_refuse_nan(run.batch, run.session.inputs):  # it may be right to do so
                run.refused.append(f"{word} in a sample (the model fails on it: {exc.message})")
            else:
                what = f"{word} in {'one sample' if len(rows) == 1 else 'samples'}"
                run.poison_failure = broken(exc, run.evidence.last_pass.order), what, exc.message
            return missing if word != "NaN" else {}
        if word == "NaN":
            run.poisoned = moved
        elif any(not tap[0] and tap not in run.poisoned for tap in moved):
            beside = quiet.beside(moved)
            note(run, {tap: ulp for tap, ulp in beside.items() if tap[0] or tap not in run.poisoned})
    return missing


def _is_same_complaint(message: str, line: str) -> bool:
    """Whether a model says to NaN what it said to numbers that are too large: it checks its input, and rightly so."""
    said = _NUMBERS.sub("", message)
    return bool(said.strip()) and said in _NUMBERS.sub("", line)


def run_with(
    run: Run,
    doing: str,
    kept: int,
    data: Batch | None,
    also: Callable[[Tap, np.ndarray], None] = lambda _t, _a: None,
    *,
    beside: Sequence[int] = (),
) -> None:
    """One pass of ``data``, in which sample ``kept`` stands as it is, and those ``beside``: where they changed."""
    if data is None:
        return

    def look(tap: Tap, array: np.ndarray) -> None:
        index = run.whose(tap)
        if index is not None and run.indices[tap].axis is None:
            places = [place for place, owner in enumerate(index.owners) if owner == kept]
            before = run.evidence.base[tap]
            far = int(scaled_distance(before[places], array[places], largest(before)).max(initial=0))
            if distance(before[places], array[places], before) is None:
                far = FAR
            if far:
                note(run, {tap: far})
        if run.indices[tap].kind == "interleaved" and _takes_turns(run, tap, array, {kept, *beside}):
            run.moved_by_extreme[tap] = FAR
        quiet.look(tap, array)
        also(tap, array)

    quiet = Quiet(run, kept)
    try:
        found = quiet.beside(run.kept(doing, data, sorted({kept, *beside}), look))
    except ModelRunError as exc:  # such values are outside of what the model takes: nothing is learned
        run.refused.append(f"{doing} (the model fails on such made-up data: {exc.message})")
        return
    note(run, found)


def _takes_turns(run: Run, tap: Tap, array: np.ndarray, kept: Collection[int]) -> bool:
    """Whether elements that were a kept sample's are so no longer, as those of the largest are of now this, now that.

    Where rows hold pieces of several samples it is the place that says whose a piece is.
    """
    before = run.evidence.base.get(tap)
    if before is None or before.shape != array.shape:
        return False
    return bool((changed(before, array) & run.evidence.reached[run.evidence.canonical[tap]].of(kept)).any())


def _make_alike(run: Run, last: int) -> None:
    """Copies of the last sample; then copies of one that the model treats otherwise, for an expert of its own.

    Who comes too late for a full expert is known for the last sample only. But where all copies of it came out alike,
    what comes out of a tap does not depend on the place in the batch, and then copies of another must come out alike
    too.
    """
    alike: set[Tap] = set()

    def first(tap: Tap, array: np.ndarray) -> None:
        if _copies_agree(array, run.whose(tap), last, run.evidence.size):
            alike.add(tap)

    run_with(run, "making the others alike", last, stress.alike(run.batch, last), first)
    other = most_unlike(run, last)
    if other is None:
        return

    def second(tap: Tap, array: np.ndarray) -> None:
        if tap in alike and not _copies_agree(array, run.whose(tap), other, run.evidence.size):
            run.moved_by_extreme[tap] = FAR

    run_with(run, "making the others alike", other, stress.alike(run.batch, other), second)


def _copies_agree(array: np.ndarray, index: BatchIndex | None, sample: int, size: int) -> bool:
    """Whether the parts of all samples are the same but for rounding."""
    if index is None or index.axis is None:
        return False
    if (
        index.axis == 0
        and index.owners == tuple(range(size))
        and len(set(digests(array, size, range(size)) or ())) == 1
    ):
        return True
    owners = np.asarray(index.owners)
    order = np.argsort(owners, kind="stable")
    if (np.bincount(owners[owners >= 0], minlength=size) * size != len(owners)).any():
        return False
    if (order != np.arange(len(order))).any():
        array = np.take(array, order, index.axis)
    parts = np.moveaxis(array, index.axis, 0).reshape(size, -1)
    first = np.ascontiguousarray(parts[0])
    if not any(differs(first, part) for part in parts[1:]):
        return True
    expected = np.broadcast_to(parts[sample], parts.shape)
    return not changed(expected, parts).any() or distance(expected, parts) is not None


def most_unlike(run: Run, sample: int) -> int | None:
    """The sample that the model treats most unlike ``sample``: by decisions (integers, booleans), else small floats.

    None where there are fewer than three.
    """
    size = run.evidence.size
    if size < 3:
        return None
    decisions, floats = np.zeros(size), np.zeros(size)
    for tap in run.evidence.order:
        index, value = run.indices[tap], run.evidence.base.get(tap)  # small tensors are always kept
        if run.evidence.canonical[tap] != tap or index.kind not in ("separated", "inconclusive"):
            continue
        if value is None or value.ndim == 0 or len(value) != size or not 0 < value.size <= size * _SMALL:
            continue
        if discrete(value):
            decisions += _shares(value != value[sample])
        elif value.dtype.kind == "f" and np.isfinite(value).all():
            apart = np.abs(value.astype(np.float64) - value[sample].astype(np.float64))
            floats += _shares(apart / max(float(apart.max()), 1e-30))
    unlike = decisions if decisions.any() else floats
    unlike[sample] = -1
    return int(unlike.argmax())


def _shares(differences: np.ndarray) -> np.ndarray:
    """Of every sample, the mean over its elements."""
    result: np.ndarray = differences.reshape(len(differences), -1).mean(axis=1)
    return result
