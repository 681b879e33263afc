"""Passes with a longer padding: what counts must come out as before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.arrays.masks import two_valued
from kmr_cli.arrays.ulp import distance
from kmr_cli.batch.padding import Counts, may_be_padding, step_axis
from kmr_cli.check.observed import MaskRun
from kmr_cli.config.masks import Mask
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.taps import Tap, watch
from kmr_cli.formats.interface import ResizableSession, Session, Taps
from kmr_cli.records import Batch, BatchIndex

_LONGER = 3
"""Steps of padding that are appended where the model does not take twice as many."""


def try_longer(
    session: Session, masks: Sequence[Mask], taps: Taps, indices: Mapping[Tap, BatchIndex], run: MaskRun
) -> None:
    """Twice as many steps, so that strides, hops and pooling give more too; a few more where so many are refused.

    Where the file declares the number of steps, the model may take others all the same; but it may also have that
    number in its code, and look at no more. So something is put into the steps that were appended: unless that shows
    in an output, nothing was learned. Nor was it where samples change each other at that number of steps: rows that the
    model finds by the number that it has in its code are those of others then.
    """
    run.declared = _declares_steps(session, masks)
    if not run.declared:
        for few in (False, True):
            growth = _Growth(run, indices, _more(run, few=few))
            if _watch(session, run, _lengthened(run, masks, growth.more), taps, growth):
                run.longer, run.lengthened = growth.wrong, not few or growth.shows
                return
        return
    anything = session.any_size() if isinstance(session, ResizableSession) else None
    if anything is None:
        return
    with anything:
        growth = _Growth(run, indices, _more(run, few=False))
        longer = _lengthened(run, masks, growth.more)
        if not _watch(session, run, longer, taps, growth) or growth.lost:
            return
        ran = _keeps_apart(session, run, longer, growth) if growth.wrong else _looks_further(
            session, run, masks, growth, taps
        )  # fmt: skip
        if ran:
            run.longer, run.lengthened = growth.wrong, True


def _more(run: MaskRun, *, few: bool) -> dict[int, int]:
    return {steps: _LONGER if few else max(_LONGER, steps) for steps in run.counts}


def _declares_steps(session: Session, masks: Sequence[Mask]) -> bool:
    shapes = {spec.name: spec.shape for spec in session.inputs}
    return any(
        shape is not None and len(shape) > mask.axis and shape[mask.axis] is not None
        for mask in masks
        for shape in [shapes[mask.name]]
    )


def _watch(session: Session, run: MaskRun, batch: Batch, taps: Taps, growth: _Growth) -> bool:
    """One pass; whether the model runs on it."""
    run.passes += 1
    try:
        watch(session, batch, taps, growth.look)
    except ModelRunError:
        return False
    return True


def _looks_further(session: Session, run: MaskRun, masks: Sequence[Mask], growth: _Growth, taps: Taps) -> bool:
    """One pass more: whether content in the appended steps, of every sample, shows in an output."""
    batch = _continued(run, masks, growth.more)
    seen = False

    def look(layer: str, _call: int, port: str, array: np.ndarray) -> None:
        nonlocal seen
        before = growth.outputs.get(port) if not layer else None
        if before is not None:
            first = array[tuple(slice(length) for length in before.shape)]
            seen = seen or first.shape != before.shape or bool(changed(before, first).any())

    run.passes += 1
    try:
        watch(session, batch, taps, look)
    except ModelRunError:
        return False
    return seen


def _keeps_apart(session: Session, run: MaskRun, longer: Batch, growth: _Growth) -> bool:
    """One pass more: whether the last sample comes out as before where all others are copies of it."""
    batch = {name: np.array(values, copy=True) for name, values in longer.items()}
    for values in batch.values():
        values[:-1] = values[-1]
    apart = True

    def look(layer: str, _call: int, port: str, array: np.ndarray) -> None:
        nonlocal apart
        before = growth.outputs.get(port) if not layer else None
        if before is not None and before.ndim:
            apart = apart and before.shape == array.shape and not changed(before[-1:], array[-1:]).any()

    run.passes += 1
    try:
        watch(session, batch, Taps(()), look)
    except ModelRunError:
        return False
    return apart


def _continued(run: MaskRun, masks: Sequence[Mask], more: Mapping[int, int]) -> dict[str, np.ndarray]:
    """The same as :func:`_lengthened` gives, but what is appended counts: the first steps again."""
    known = {mask.name: mask for mask in masks}
    result = {}
    for name, values in run.padded.items():
        axis = step_axis(values, run.counts)
        mask = known.get(name)
        if mask is not None and mask.pairs:
            result[name] = _with_more_pairs(values, more[values.shape[-1]], mask.counted)
        elif mask is not None and mask.value is None:
            shape = [more[size] if place == mask.axis else size for place, size in enumerate(values.shape)]
            result[name] = np.concatenate([values, np.full(shape, mask.counted, values.dtype)], mask.axis)
        elif axis is not None and values.dtype != object:
            steps = values.shape[axis]
            first = np.arange(more[steps]) % int(run.counts[steps].min())
            result[name] = np.concatenate([values, np.take(values, first, axis)], axis)
        else:
            result[name] = values
    for name, (steps, relative) in run.lengths.items():
        values = run.padded[name]
        result[name] = np.full_like(values, 1 if relative else steps + more[steps])
    return result


def _lengthened(run: MaskRun, masks: Sequence[Mask], more: Mapping[int, int]) -> dict[str, np.ndarray]:
    """The padded batch with ``more`` steps of padding, shares of them adjusted."""
    fill = {mask.name: mask.padding for mask in masks}
    pair_masks = {mask.name for mask in masks if mask.pairs}
    longer = {}
    for name, values in run.padded.items():
        axis = step_axis(values, run.counts)
        if name in pair_masks:
            values = _with_more_pairs(values, more[values.shape[-1]], fill[name])
        elif axis is not None and values.dtype != object:
            steps = values.shape[axis]
            pairs = name not in fill and two_valued(values)  # such a mask has steps along two axes
            wide = [
                (0, more[steps] if place == axis or (pairs and place and size == steps) else 0)
                for place, size in enumerate(values.shape)
            ]
            values = np.pad(values, wide, constant_values=fill.get(name, 0))
        longer[name] = values
    for name, (steps, relative) in run.lengths.items():
        if relative:
            longer[name] = as_shares(run.counts[steps], steps + more[steps], run.padded[name])
    return longer


def _with_more_pairs(values: np.ndarray, more: int, fill: float) -> np.ndarray:
    """A mask of pairs with more steps to look at, and as many that look at what the last one does."""
    others = [(0, 0)] * (values.ndim - 2)
    looking = np.pad(values, [*others, (0, more), (0, 0)], mode="edge")
    return np.pad(looking, [*others, (0, 0), (0, more)], constant_values=fill)


class _Growth:
    """What a longer padding changes beside the number of steps.

    Args:
        run: the masked passes so far.
        indices: whose slice is whose.
        more: number of steps -> how many were appended.

    Attributes:
        wrong: taps that it changes.
        lost: whether an output has another number of samples or of axes: the steps went elsewhere.
        outputs: what they were, by port.
    """

    def __init__(self, run: MaskRun, indices: Mapping[Tap, BatchIndex], more: Mapping[int, int]) -> None:
        self._run, self._indices, self.more = run, indices, more
        self._shorter: set[tuple[int, int]] = set()
        self._grew = self._may_grow = self._saw_more = False
        self.wrong: set[Tap] = set()
        self.lost = False
        self.outputs: dict[str, np.ndarray] = {}

    @property
    def shows(self) -> bool:
        """Whether a layer gave more steps, unless none could have."""
        return self._grew or not self._may_grow

    def look(self, layer: str, call: int, port: str, array: np.ndarray) -> None:
        tap = (layer, call, port)
        before = self._run.known.get(tap)
        if not layer:
            self.outputs[port] = np.array(array, copy=True)
            self.lost = self.lost or before is None or before.shape[:1] != array.shape[:1] or before.ndim != array.ndim
        if before is None or before.ndim != array.ndim:
            return
        if port.startswith("out"):
            self._grew = self._grew or before.shape != array.shape
            self._may_grow = self._may_grow or before.ndim > 2
        counts = self._counts(tap, before.shape, array.shape)
        self._saw_more = self._saw_more or before.shape != array.shape
        if counts is None:
            return
        counted = ~may_be_padding(before.shape, self._indices.get(tap), counts)
        if not counted.any() and before.shape == array.shape and self._saw_more:
            counted[...] = True  # more steps, and it is as long as before: it holds none
            if tap in self._run.doubtful:
                self._run.ignored.add(tap)
        if all(distance(before[counted], cut[counted]) is None for cut in _cuts(before.shape, array)):
            self.wrong.add(tap)

    def _counts(self, tap: Tap, before: tuple[int, ...], after: tuple[int, ...]) -> Counts | None:
        """How many steps count, those included that a stride left over; None where a longer axis is none of steps."""
        counts = dict(self._run.counts)
        index = self._indices.get(tap)
        samples = 0 if index is None or index.axis is None else index.axis
        for axis, (short, long) in enumerate(zip(before, after, strict=True)):
            if short == long or (short in self.more and long == short + self.more[short]):
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


def as_shares(counts: np.ndarray, steps: int, like: np.ndarray) -> np.ndarray:
    """Shares of steps, a quarter of a step short: so that rounding, up or to the nearest, gives ``counts``."""
    return ((counts - 0.25) / steps).astype(like.dtype).reshape(like.shape)
