"""Masks that broadcast against the wrong axis, verified by masking one step of one sample.

A layer that gets a mask and steps to apply it to shows that step, in that sample, or everything that is computed from
it in that sample. Where the mask meets another axis, the number of the sample or of the step turns up as a place on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.arrays.masks import is_padding
from kmr_cli.batch import replacement
from kmr_cli.batch.given import batch_size
from kmr_cli.check.observed import MaskRun, WrongAxis
from kmr_cli.check.probes.masks import padded
from kmr_cli.check.run import Run
from kmr_cli.config.masks import Mask
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.owners import from_owners
from kmr_cli.evidence.sources import Source
from kmr_cli.evidence.taps import Tap, watch
from kmr_cli.formats.interface import Session, Taps
from kmr_cli.records import Batch

Port = tuple[np.ndarray, np.ndarray]
"""What came through it, and where masking one step changed that."""


@dataclass(frozen=True)
class Axes:
    """What is known of the axes of taps.

    Attributes:
        samples: tap -> the axis of the samples; 0 where a tap is left out.
        stepwise: taps whose axis 1 is the steps, and no other: padding changes masked steps there alone.
    """

    samples: Mapping[Tap, int]
    stepwise: Set[Tap] = frozenset()


@dataclass
class _Call:
    """One call of a layer."""

    ins: dict[str, Port] = field(default_factory=dict)
    outs: dict[str, Port] = field(default_factory=dict)


def find_wrong_axes(
    session: Session, batch: Batch, masks: Sequence[Mask], taps: Taps, known: Mapping[Tap, np.ndarray], axes: Axes,
    separator: str,
) -> list[WrongAxis]:  # fmt: skip
    """Mask one more step of one sample, and look where that shows.

    Args:
        session: the loaded model.
        batch: a batch in which some steps are masked, or none.
        masks: its masks.
        taps: what to observe.
        known: tap -> its value on that batch.
        axes: what is known of theirs.
        separator: of the parts of a layer's path.

    Returns:
        The innermost layers, in the order in which they ran; empty where no step can be masked.

    Raises:
        ModelRunError: the model does not run on such a batch.
    """
    place = _free_step(batch, masks) if all(mask.axis == 1 for mask in masks) else None
    if place is None:
        return []
    sample, step = place
    probe = {name: np.array(values, copy=True) for name, values in batch.items()}
    for mask in masks:
        probe[mask.name][sample, step] = mask.padding
    calls: dict[tuple[str, int], _Call] = {}

    def look(layer: str, call: int, port: str, array: np.ndarray) -> None:
        before = known.get((layer, call, port))
        if layer and before is not None and before.shape == array.shape:
            seen = calls.setdefault((layer, call), _Call())
            (seen.ins if port.startswith("in") else seen.outs)[port] = before, changed(before, array)

    watch(session, probe, taps, look)
    size = batch_size(batch)
    found: dict[tuple[str, int], WrongAxis] = {}
    for (layer, call), seen in calls.items():
        if not any(_is_mask(*port, size, sample, step) for port in seen.ins.values()):
            continue
        for port, text in _messages((layer, call), seen, axes, size, sample, step):
            found.setdefault((layer, call), WrongAxis(Source(layer, call, port), text))
    return [
        wrong
        for (layer, _), wrong in found.items()
        if not any(other.startswith(layer + separator) for other, _ in found)
    ]


def mask_one_step(run: Run, masks: Sequence[Mask], found: MaskRun) -> list[WrongAxis]:
    """One pass more on a padded batch. Empty where the model does not run on it: a sample may have no step left."""
    run.step("masking one step of one sample")
    axes = Axes({tap: index.axis for tap, index in run.indices.items() if index.axis}, found.stepwise)
    try:
        return find_wrong_axes(run.session, found.padded, masks, run.taps, found.known, axes, run.info.separator)
    except ModelRunError:
        return []


def mask_one_step_at(run: Run, masks: Sequence[Mask], size: int) -> tuple[list[WrongAxis], list[Tap]]:
    """The same of a model that runs at some sizes only, this being one of them. Three passes.

    Returns:
        What was found, and the taps in the order in which they ran.
    """
    rows = np.arange(size) % batch_size(run.batch)
    batch = {name: values[rows] for name, values in run.batch.items()}
    if any(mask.axis != 1 for mask in masks):
        return [], []
    every = {values.shape[1]: np.full(size, values.shape[1]) for values in batch.values() if values.ndim > 1}
    batch = padded(batch, masks, every)
    other = replacement.replace(batch, [0], run.session.inputs, run.rng)
    other.update({mask.name: batch[mask.name] for mask in masks if mask.value is None})
    known: dict[Tap, np.ndarray] = {}
    moved: dict[Tap, int] = {}

    def keep(layer: str, call: int, port: str, array: np.ndarray) -> None:
        known[layer, call, port] = np.array(array, copy=True)

    def look(layer: str, call: int, port: str, array: np.ndarray) -> None:
        before = known.get((layer, call, port))
        if before is not None and before.shape == array.shape:
            index = from_owners(np.where(changed(before, array), 0, size).astype(np.int32), size, (0,))
            if index.axis:
                moved[layer, call, port] = index.axis

    run.step(f"running a batch of {size} without padding")
    try:
        watch(run.session, batch, run.taps, keep)
        run.step(f"replacing sample 0 of {size}")
        watch(run.session, other, run.taps, look)
        run.step("masking one step of one sample")
        found = find_wrong_axes(run.session, batch, masks, run.taps, known, Axes(moved), run.info.separator)
    except ModelRunError:
        return [], []
    return found, list(known)


def _free_step(batch: Batch, masks: Sequence[Mask]) -> tuple[int, int] | None:
    """(sample, step) that no mask hides, two different numbers: so that either is told from the other."""
    steps = min(batch[mask.name].shape[1] for mask in masks)
    hidden = np.zeros((batch_size(batch), steps), bool)
    for mask in masks:
        hidden |= is_padding(batch[mask.name], mask.padding)[:, :steps]
    for step in (*range(1, steps), 0):
        for sample in range(len(hidden)):
            if sample != step and not hidden[sample, step]:
                return sample, step
    return None


def _is_mask(values: np.ndarray, moved: np.ndarray, size: int, sample: int, step: int) -> bool:
    """Whether a tensor is the mask itself, also cast or expanded: two values, of which exactly one changed."""
    if moved.sum() != 1 or values.dtype == object or len(np.unique(values)) > 2:
        return False
    place = [(int(at), length) for at, length in zip(np.argwhere(moved)[0], values.shape, strict=True) if length > 1]
    if len(place) != 2:
        return False
    return any((one[0], two[0]) == (sample, step) and one[1] == size for one, two in (place, place[::-1]))


def _messages(
    layer: tuple[str, int], seen: _Call, axes: Axes, size: int, sample: int, step: int
) -> Iterator[tuple[str, str]]:
    """(output port, what is wrong there) for a layer that gets a mask."""
    own = np.arange(size) == sample
    for name, (data, entered) in seen.ins.items():
        axis = axes.samples.get((*layer, name), 0)
        if data.ndim < 3 or data.shape[axis] != size or np.moveaxis(entered, axis, 0)[~own].any():
            continue
        for port, (value, moved) in seen.outs.items():
            if value.ndim < 2 or value.shape[axis] != size or (axis and value.ndim != data.ndim):
                continue
            rest = [length for number, length in enumerate(data.shape) if number != axis]
            place = _one_place(np.moveaxis(moved, axis, 0)[~own], (sample, step)) if size in rest else None
            if place is not None:
                where = f"place {place} of other samples in an output of shape {value.shape}"
                yield port, f"masking step {step} of sample {sample} changes {where}"
            elif (
                data.shape == value.shape == (size, data.shape[2], data.shape[2])
                and (*layer, name) in axes.stepwise
                and _in_one_column((moved & ~entered)[sample], step)
                and not moved[~own].any()
            ):
                where = f"place {step} of the last axis at other steps in an output of shape {value.shape}"
                yield port, f"masking step {step} changes {where}"


def _one_place(moved: np.ndarray, places: Sequence[int]) -> int | None:
    """The one of these places along an axis beside the samples where all changes lie; None if there is none."""
    for axis in range(1, moved.ndim):
        at = np.flatnonzero(moved.any(axis=tuple(other for other in range(moved.ndim) if other != axis)))
        if moved.shape[axis] > 2 and len(at) == 1 and int(at[0]) in places:
            return int(at[0])
    return None


def _in_one_column(moved: np.ndarray, column: int) -> bool:
    """Whether the changes in ``(steps, features)`` lie in one column, and in other rows than that number's."""
    columns = np.flatnonzero(moved.any(axis=0))
    rows = np.flatnonzero(moved.any(axis=1))
    return columns.tolist() == [column] and bool((rows != column).any())
