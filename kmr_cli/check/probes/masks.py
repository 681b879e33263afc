"""Passes that mask: other content in masked positions, a sample that is masked altogether, a longer padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.arrays.ulp import distance
from kmr_cli.batch import replacement
from kmr_cli.batch.given import batch_size
from kmr_cli.batch.likely_masks import tells_lengths
from kmr_cli.batch.padding import Counts, is_padding, lengths, masked, may_be_padding
from kmr_cli.check.observed import MaskRun
from kmr_cli.config.masks import Mask
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.taps import Tap, watch
from kmr_cli.formats.interface import PaddingSession, Session, Taps
from kmr_cli.records import Batch, BatchIndex, TensorSpec

_LONGER = 3
"""Steps of padding that are appended where the model does not take twice as many."""


def try_masks(
    session: Session, batch: Batch, masks: Sequence[Mask], taps: Taps, indices: Mapping[Tap, BatchIndex],
    rng: np.random.Generator, *, suspect: bool = False,
) -> MaskRun:  # fmt: skip
    """At most five passes: padded, other content in the padding, one sample empty, a longer padding (or two).

    The last is left out where the second has found something, or tried, and the model is ``suspect`` anyway: one more
    pass is then wanted to tell why.

    Raises:
        ModelRunError: the model does not run on a padded batch.
    """
    run = MaskRun()
    run.counts = {batch[mask.name].shape[1]: lengths(*batch[mask.name].shape[:2]) for mask in masks}
    run.lengths = _lengths(batch, masks, run)
    run.padded = padded(batch, masks, run.counts)
    for name, (steps, relative) in run.lengths.items():
        values, count = batch[name], run.counts[steps]
        told = _as_shares(count, steps, values) if relative else count.astype(values.dtype).reshape(values.shape)
        run.padded[name] = told
    homes: dict[tuple[object, ...], Tap] = {}

    def keep(layer: str, call: int, port: str, array: np.ndarray) -> None:
        tap = (layer, call, port)
        run.order.append(tap)
        # One copy of a tensor that several taps see; the address may have been used twice, so the content decides.
        first = homes.setdefault((array.__array_interface__["data"][0], array.shape, array.dtype, array.strides), tap)
        same = first != tap and np.array_equal(run.known[first], array)
        run.known[tap] = run.known[first] if same else np.array(array, copy=True)

    run.passes += 1
    watch(session, run.padded, taps, keep)
    _try_other(session, masks, taps, indices, run, rng)
    if not run.lengths:  # a length of 0 is refused by many models, and rightly
        _try_empty(session, masks, taps, run)
    ignored = any(not layer for layer, _, _ in run.ignored)
    if not (run.replaced and (ignored or suspect)):
        _try_longer(session, masks, taps, indices, run)
    return run


def _try_other(
    session: Session, masks: Sequence[Mask], taps: Taps, indices: Mapping[Tap, BatchIndex], run: MaskRun,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Other content in masked positions: in the inputs beside a mask input, and inside, where layers mask."""
    other = run.padded
    if any(mask.value is None for mask in masks):
        other = _refilled(other, masks, run.counts, session.inputs, rng)
        run.replaced = any(changed(run.padded[name], values).any() for name, values in other.items())
    inside: AbstractContextManager[None] | None = None
    if any(mask.value is not None for mask in masks) and isinstance(session, PaddingSession):
        where = {steps: np.arange(steps)[None] >= count[:, None] for steps, count in run.counts.items()}
        inside = session.other_padding(where, int(rng.integers(2**31)))
    if not run.replaced and inside is None:
        return

    def compare(layer: str, call: int, port: str, array: np.ndarray) -> None:
        tap = (layer, call, port)
        before = run.known.get(tap)
        if before is None or before.shape != array.shape:
            return
        moved = changed(before, array)
        run.replaced = run.replaced or bool(moved.any())
        if (moved & ~may_be_padding(array.shape, indices.get(tap), run.counts)).any():
            run.ignored.add(tap)
        if array.ndim == 3 and array.shape[1] in run.counts and len(array) == batch_size(run.padded):
            away = masked(array, run.counts)
            if moved[away].any() and not moved[~away].any():
                run.stepwise.add(tap)

    run.passes += 1
    with inside or nullcontext():
        watch(session, other, taps, compare)


def _try_empty(session: Session, masks: Sequence[Mask], taps: Taps, run: MaskRun) -> None:
    empty = {name: np.array(values, copy=True) for name, values in run.padded.items()}
    for mask in masks:
        empty[mask.name][0] = mask.padding
    run.passes += 1

    def look(layer: str, call: int, port: str, array: np.ndarray) -> None:
        tap = (layer, call, port)
        before = run.known.get(tap)
        if (
            array.dtype.kind in "fc"
            and before is not None
            and np.isfinite(before).all()
            and not np.isfinite(array).all()
        ):
            run.broken.add(tap)

    try:
        watch(session, empty, taps, look)
    except ModelRunError as exc:
        run.failed = exc.message


def _try_longer(
    session: Session, masks: Sequence[Mask], taps: Taps, indices: Mapping[Tap, BatchIndex], run: MaskRun
) -> None:
    """Twice as many steps, so that strides, hops and pooling give more too; a few more where so many are refused."""
    specs = {spec.name: spec.shape for spec in session.inputs}
    if any(
        shape is not None and len(shape) > 1 and shape[1] is not None for shape in (specs[mask.name] for mask in masks)
    ):
        return  # the number of steps is fixed
    for few in (False, True):
        more = {steps: _LONGER if few else max(_LONGER, steps) for steps in run.counts}
        growth = _Growth(run, indices, more)
        run.passes += 1
        try:
            watch(session, _lengthened(run, masks, more), taps, growth.look)
        except ModelRunError:
            continue  # it takes no such number of steps
        run.longer, run.lengthened = growth.wrong, not few or growth.shows
        return


def _lengthened(run: MaskRun, masks: Sequence[Mask], more: Mapping[int, int]) -> dict[str, np.ndarray]:
    """The padded batch with ``more`` steps of padding, shares of them adjusted."""
    fill = {mask.name: mask.padding for mask in masks}
    longer = {}
    for name, values in run.padded.items():
        if values.ndim > 1 and values.shape[1] in run.counts and values.dtype != object:
            wide = [(0, 0), (0, more[values.shape[1]])] + [(0, 0)] * (values.ndim - 2)
            values = np.pad(values, wide, constant_values=fill.get(name, 0))
        longer[name] = values
    for name, (steps, relative) in run.lengths.items():
        if relative:
            longer[name] = _as_shares(run.counts[steps], steps + more[steps], run.padded[name])
    return longer


class _Growth:
    """What a longer padding changes beside the number of steps.

    Args:
        run: the masked passes so far.
        indices: whose slice is whose.
        more: number of steps -> how many were appended.
    """

    def __init__(self, run: MaskRun, indices: Mapping[Tap, BatchIndex], more: Mapping[int, int]) -> None:
        self._run, self._indices, self._more = run, indices, more
        self._shorter: set[tuple[int, int]] = set()
        self._grew = self._may_grow = False
        self.wrong: set[Tap] = set()

    @property
    def shows(self) -> bool:
        """Whether a layer gave more steps, unless none could have."""
        return self._grew or not self._may_grow

    def look(self, layer: str, call: int, port: str, array: np.ndarray) -> None:
        tap = (layer, call, port)
        before = self._run.known.get(tap)
        if before is None or before.ndim != array.ndim:
            return
        if port.startswith("out"):
            self._grew = self._grew or before.shape != array.shape
            self._may_grow = self._may_grow or before.ndim > 2
        counts = self._counts(tap, before.shape, array.shape)
        if counts is None:
            return
        counted = ~may_be_padding(before.shape, self._indices.get(tap), counts)
        if all(distance(before[counted], cut[counted]) is None for cut in _cuts(before.shape, array)):
            self.wrong.add(tap)

    def _counts(self, tap: Tap, before: tuple[int, ...], after: tuple[int, ...]) -> Counts | None:
        """How many steps count, those included that a stride left over; None where a longer axis is none of steps."""
        counts = dict(self._run.counts)
        index = self._indices.get(tap)
        samples = 0 if index is None or index.axis is None else index.axis
        for axis, (short, long) in enumerate(zip(before, after, strict=True)):
            if short == long or (short in self._more and long == short + self._more[short]):
                continue
            steps = max(counts)
            inner = len(before) > 2 or (short, long) in self._shorter
            if axis == samples or len(self._run.counts) > 1 or not short < min(long, steps) or not inner:
                return None
            self._shorter.add((short, long))
            counts[short] = counts[steps] * short // steps  # those that see nothing but steps that count
        return counts


def _cuts(shape: tuple[int, ...], longer: np.ndarray) -> list[np.ndarray]:
    """What a tensor must hold without the appended steps: its first ones, or (steps in reverse) its last ones."""
    first = longer[tuple(slice(length) for length in shape)]
    last = longer[tuple(slice(more - length, None) for length, more in zip(shape, longer.shape, strict=True))]
    return [first] if longer.shape == shape else [first, last]


def _lengths(batch: Batch, masks: Sequence[Mask], run: MaskRun) -> dict[str, tuple[int, bool]]:
    """Inputs that say how much of each sample counts -> (the number of steps, whether they tell shares of it)."""
    found = {}
    for mask in masks:
        steps = batch[mask.name].shape[1]
        empty = is_padding(batch[mask.name], mask.padding)
        counts = steps - np.logical_and.accumulate(empty[:, ::-1], axis=1).sum(axis=1)
        for name, values in batch.items():
            relative = tells_lengths(values, counts, steps)
            if relative is not None:
                found[name] = steps, relative
                if (counts[1:] <= counts[:-1]).all():  # some models want the longest first
                    run.counts[steps] = -np.sort(-run.counts[steps])
    return found


def _as_shares(counts: np.ndarray, steps: int, like: np.ndarray) -> np.ndarray:
    """Shares of steps, a quarter of a step short: so that rounding, up or to the nearest, gives ``counts``."""
    return ((counts - 0.25) / steps).astype(like.dtype).reshape(like.shape)


def padded(batch: Batch, masks: Sequence[Mask], counts: Counts) -> dict[str, np.ndarray]:
    """The batch with as many steps as ``counts`` says, the others padding."""
    result = {name: np.array(values, copy=True) for name, values in batch.items()}
    for mask in masks:
        values = result[mask.name]
        away = masked(values, counts)
        if mask.value is None:
            shown = np.where(away, mask.padding, mask.counted)
            values[...] = np.reshape(shown, away.shape + (1,) * (values.ndim - 2))
        else:
            values[is_padding(values, mask.value) & ~away] = _no_padding(batch[mask.name], mask.value)
            values[away] = mask.value
    return result


def _no_padding(values: np.ndarray, value: float) -> float:
    """What counts: the most frequent other number of the data, so that an id stays one; else the next number."""
    seen, how_often = np.unique(values[values != value], return_counts=True)
    return float(seen[how_often.argmax()]) if seen.size else value + 1


def _refilled(
    batch: Batch, masks: Sequence[Mask], counts: Counts, specs: Sequence[TensorSpec], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Other content in the masked positions of everything that has steps and tells no mask itself."""
    names = {mask.name for mask in masks}
    fresh = replacement.replace(batch, range(batch_size(batch)), tuple(specs), rng)
    result = {name: np.array(values, copy=True) for name, values in batch.items()}
    for name, values in result.items():
        if name not in names and values.ndim > 1 and values.shape[1] in counts:
            away = masked(values, counts)
            values[away] = fresh[name][away]
    return result
