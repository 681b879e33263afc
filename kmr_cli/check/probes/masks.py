"""Passes that mask: other content in masked positions, a sample that is masked altogether, a longer padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.arrays.ulp import distance
from kmr_cli.batch import replacement
from kmr_cli.batch.given import batch_size
from kmr_cli.batch.padding import Counts, is_padding, lengths, masked, may_be_padding
from kmr_cli.check.observed import MaskRun
from kmr_cli.config.masks import Mask
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.taps import Tap, watch
from kmr_cli.formats.interface import PaddingSession, Session, Taps
from kmr_cli.records import Batch, BatchIndex, TensorSpec

_LONGER = 3
"""Steps of padding that are appended."""


def try_masks(
    session: Session, batch: Batch, masks: Sequence[Mask], taps: Taps, indices: Mapping[Tap, BatchIndex],
    rng: np.random.Generator, *, suspect: bool = False,
) -> MaskRun:  # fmt: skip
    """At most four passes: padded, other content in the padding, one sample empty, a longer padding.

    The last is left out where the second has found something, or tried, and the model is ``suspect`` anyway: one more
    pass is then wanted to tell why.

    Raises:
        ModelRunError: the model does not run on a padded batch.
    """
    run = MaskRun()
    run.counts = {batch[mask.name].shape[1]: lengths(*batch[mask.name].shape[:2]) for mask in masks}
    run.padded = padded(batch, masks, run.counts)
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
    fill = {mask.name: mask.padding for mask in masks}
    longer = {}
    for name, values in run.padded.items():
        wide = [(0, 0)] * values.ndim
        if values.ndim > 1 and values.shape[1] in run.counts:
            wide[1] = (0, _LONGER)
        longer[name] = np.pad(values, wide, constant_values=fill.get(name, 0)) if values.dtype != object else values
    specs = {spec.name: spec.shape for spec in session.inputs}
    if any(
        shape is not None and len(shape) > 1 and shape[1] is not None for shape in (specs[mask.name] for mask in masks)
    ):
        return  # the number of steps is fixed
    run.passes += 1
    seen: set[Tap] = set()

    def look(layer: str, call: int, port: str, array: np.ndarray) -> None:
        tap = (layer, call, port)
        before = run.known.get(tap)
        if before is None or before.ndim != array.ndim:
            return
        cuts = _cuts(before.shape, array, run.counts)
        if cuts:
            counted = ~may_be_padding(before.shape, indices.get(tap), run.counts)
            if all(distance(before[counted], cut[counted]) is None for cut in cuts):
                seen.add(tap)

    try:
        watch(session, longer, taps, look)
    except ModelRunError:
        return  # it takes no other number of steps
    run.longer, run.lengthened = seen, True


def _cuts(shape: tuple[int, ...], longer: np.ndarray, counts: Counts) -> list[np.ndarray]:
    """What a tensor must hold without the appended steps: its first ones, or (steps in reverse) its last ones."""
    for before, after in zip(shape, longer.shape, strict=True):
        if before != after and not (before in counts and after == before + _LONGER):
            return []
    first = longer[tuple(slice(length) for length in shape)]
    last = longer[tuple(slice(more - length, None) for length, more in zip(shape, longer.shape, strict=True))]
    return [first] if longer.shape == shape else [first, last]


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
