"""Passes that mask: other content in masked positions, a sample that is masked altogether, a longer padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.arrays.masks import is_padding
from kmr_cli.batch import replacement
from kmr_cli.batch.given import batch_size
from kmr_cli.batch.likely_masks import tells_lengths
from kmr_cli.batch.padding import (
    Counts,
    lengths,
    masked,
    may_be_padding,
    moves_throughout,
    step_axis,
)
from kmr_cli.check.observed import MaskRun
from kmr_cli.check.probes.longer import as_shares, try_longer
from kmr_cli.config.masks import Mask
from kmr_cli.config.names import names_of
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.taps import Tap, watch
from kmr_cli.formats.interface import PaddingSession, Session, Taps
from kmr_cli.records import Batch, BatchIndex, TensorSpec

PASSES = 5
"""At most."""


def try_masks(
    session: Session, batch: Batch, masks: Sequence[Mask], taps: Taps, indices: Mapping[Tap, BatchIndex],
    rng: np.random.Generator, *, suspect: bool = False,
) -> MaskRun:  # fmt: skip
    """At most :data:`PASSES`: padded, other content in the padding, one sample empty, a longer padding.

    That takes two where the model refuses twice as many steps, or the file declares how many there are: then one tells
    whether the model looks at those that were appended. It is left out where the second has found something, or tried,
    and the model is ``suspect`` anyway: one more pass is then wanted to tell why.

    Raises:
        ModelRunError: the model does not run on a padded batch.
    """
    run = MaskRun()
    size = batch_size(batch)
    run.counts = {steps: lengths(size, steps) for mask in masks for steps in [batch[mask.name].shape[mask.axis]]}
    run.lengths = _lengths(batch, masks, run)
    run.padded = padded(batch, masks, run.counts)
    for name, (steps, relative) in run.lengths.items():
        values, count = batch[name], run.counts[steps]
        told = as_shares(count, steps, values) if relative else count.astype(values.dtype).reshape(values.shape)
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
        try_longer(session, masks, taps, indices, run)
    if run.lengths and not run.replaced and not run.lengthened:
        _try_beyond_lengths(session, masks, taps, indices, run, rng)
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
        inside = session.other_padding(
            where, int(rng.integers(2**31)), {mask.name: mask.value for mask in masks if mask.value is not None}
        )
    if not run.replaced and inside is None:
        return

    def compare(layer: str, call: int, port: str, array: np.ndarray) -> None:
        tap = (layer, call, port)
        before = run.known.get(tap)
        if before is None or before.shape != array.shape:
            return
        moved = changed(before, array)
        run.replaced = run.replaced or bool(moved.any())
        away = may_be_padding(array.shape, indices.get(tap), run.counts)
        if (moved & ~away).any() or (away.all() and moves_throughout(moved, indices.get(tap))):
            run.ignored.add(tap)
        elif moved.any() and away.all():
            run.doubtful.add(tap)
        if array.ndim == 3 and array.shape[1] in run.counts and len(array) == batch_size(run.padded):
            away = masked(array, run.counts)
            if moved[away].any() and not moved[~away].any():
                run.stepwise.add(tap)

    run.passes += 1
    with inside or nullcontext():
        watch(session, other, taps, compare)


def _try_beyond_lengths(
    session: Session, masks: Sequence[Mask], taps: Taps, indices: Mapping[Tap, BatchIndex], run: MaskRun,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Other content beyond the lengths that another input tells, where nothing longer can be tried.

    A model may go by the value of padding all the same, so that this is content to it: then nothing was learned.
    """
    valued = [mask for mask in masks if mask.value is not None]
    other = _refilled(run.padded, [mask for mask in masks if mask.value is None], run.counts, session.inputs, rng)
    if not any(changed(run.padded[mask.name], other[mask.name]).any() for mask in valued):
        return
    heeded = True

    def compare(layer: str, call: int, port: str, array: np.ndarray) -> None:
        nonlocal heeded
        before = run.known.get((layer, call, port)) if not layer else None
        if before is not None:
            same = before.shape == array.shape
            away = may_be_padding(before.shape, indices.get((layer, call, port)), run.counts)
            heeded = heeded and same and not (changed(before, array) & ~away).any() and not away.all()

    run.passes += 1
    try:
        watch(session, other, taps, compare)
    except ModelRunError:
        return
    run.replaced = heeded


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


def _lengths(batch: Batch, masks: Sequence[Mask], run: MaskRun) -> dict[str, tuple[int, bool]]:
    """Inputs that say how much of each sample counts -> (the number of steps, whether they tell shares of it)."""
    found = {}
    for mask in masks:
        steps = batch[mask.name].shape[mask.axis]
        empty = is_padding(batch[mask.name], mask.padding, mask.axis)
        counts = steps - np.logical_and.accumulate(empty[:, ::-1], axis=1).sum(axis=1)
        for name, values in batch.items():
            relative = tells_lengths(values, counts, steps)
            if relative is not None:
                found[name] = steps, relative
                if (counts[1:] <= counts[:-1]).all():  # some models want the longest first
                    run.counts[steps] = -np.sort(-run.counts[steps])
    return found


def padded(batch: Batch, masks: Sequence[Mask], counts: Counts) -> dict[str, np.ndarray]:
    """The batch with as many steps as ``counts`` says, the others padding."""
    result = {name: np.array(values, copy=True) for name, values in batch.items()}
    for mask in masks:
        away = masked(result[mask.name], counts, mask.axis)
        values = np.moveaxis(result[mask.name], mask.axis, 1)
        if mask.pairs:
            seen = (values != mask.hides).any(axis=0)  # a causal mask stays one
            shown = seen & ~away.reshape(away.shape + (1,) * (values.ndim - 2))
            values[...] = np.where(shown, mask.counted, mask.hides)
        elif mask.value is None:
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
    meant = _meant(masks, [name for name, values in batch.items() if step_axis(values, counts) is not None])
    for name, values in result.items():
        axis = step_axis(values, counts) if name in meant - names else None
        if axis is not None:
            away = masked(values, counts, axis)
            np.moveaxis(values, axis, 1)[away] = np.moveaxis(fresh[name], axis, 1)[away]
    told = {batch[mask.name].shape[mask.axis] for mask in masks if mask.value is None}
    for mask in masks:  # what is padding is told by another input: then this one may hold anything there
        values = result[mask.name]
        content = values[values != mask.value]
        if mask.value is not None and values.shape[mask.axis] in told and content.size:
            away = masked(values, counts, mask.axis)
            steps = np.moveaxis(values, mask.axis, 1)
            steps[away] = rng.choice(content, steps[away].shape)
    return result


def _meant(masks: Sequence[Mask], inputs: Sequence[str]) -> set[str]:
    """The inputs that masks may speak of: those whose names they share; all where one shares none, or there are none.

    A decoder takes a mask of its own steps and one of the memory's, and there may be as many of these.
    """
    found: set[str] = set()
    others = set(inputs) - {mask.name for mask in masks}
    for mask in masks:
        alike = {name for name in others if names_of(mask.name) & names_of(name)} if mask.value is None else set()
        found |= alike or others
    return found if masks else others
