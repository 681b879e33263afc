"""Which elements of a tensor may belong to padded steps: what may change there says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from kmr_cli.arrays.masks import padded_steps
from kmr_cli.records import BatchIndex

Counts: TypeAlias = "Mapping[int, np.ndarray]"
"""Number of steps -> how many steps of each sample count; the others, at the end, are padding."""

_MIRRORED = 4
"""From this many steps on, steps may also come in reverse: then enough of them count either way."""


def lengths(samples: int, steps: int) -> np.ndarray:
    """How many steps of each sample count: different ones, at least one, never all. Shape ``(samples,)``."""
    return np.asarray(np.maximum(1, steps - 1 - np.arange(samples) % max(1, steps // 2)))


def masked(values: np.ndarray, counts: Counts, axis: int = 1) -> np.ndarray:
    """Which steps of an input, along an axis of it, are padding: ``(samples, steps)``."""
    steps = values.shape[axis]
    return np.asarray(np.arange(steps)[None] >= counts[steps][:, None])


def step_axis(values: np.ndarray, counts: Counts) -> int | None:
    """The axis of an input that its steps lie along; None where no axis has as many.

    Where two are as long, it is the one along which padding shows, or else the first.
    """
    axes = [axis for axis in range(1, values.ndim) if values.shape[axis] in counts]
    if len(axes) > 1:
        found = padded_steps(values)
        if found is not None and found.axis in axes:
            return found.axis
    return axes[0] if axes else None


def may_be_padding(shape: tuple[int, ...], index: BatchIndex | None, counts: Counts) -> np.ndarray:
    """Which elements of a tensor inside the model may belong to padded steps.

    An axis as long as the steps counts as one, in either direction; so does one that steps were flattened into, or
    merged into the samples. In doubt an element may be padding: a layer that listens to padding lets it change more
    than that. Where no axis can be told to be the steps, of a tensor with more than one axis beside the samples,
    every element may be.

    Args:
        shape: of the tensor.
        index: whose slice is whose, as far as it is known.
        counts: as the batch was padded.

    Returns:
        Booleans of that shape.
    """
    size = len(next(iter(counts.values())))
    axis, owners = _samples(shape, index, size)
    others = [number for number, length in enumerate(shape) if number != axis and length != 1]
    result, told = np.zeros(shape, bool), False
    for steps, count in counts.items():
        own = count[owners] if axis is not None else np.array([count.min()])
        if axis is not None and shape[axis] > size and shape[axis] // size % steps == 0:
            for step in _merged(shape[axis], size, steps):
                result |= _along(_away(step, own, steps), shape, axis)
                told = True
        if len(others) == 1 and shape[others[0]] and shape[others[0]] % steps == 0:
            share = shape[others[0]] // steps
            for step in (np.arange(shape[others[0]]) // share, np.arange(shape[others[0]]) % steps):
                result |= _across(_away(step[None], own[:, None], steps), shape, axis, others[0])
        elif any(shape[number] == steps for number in others[:-1]):
            told = True
            for number in others:
                if shape[number] == steps:
                    away = _away(np.arange(steps)[None], own[:, None], steps)
                    result |= _across(away, shape, axis, number)
    if len(others) > 1 and not told:
        result[...] = True
    return result


def moves_throughout(moved: np.ndarray, index: BatchIndex | None) -> bool:
    """Whether what changed of every sample leaves no room for steps that count: none of its axes can be the steps.

    Where an axis holds steps, in either direction and however many of them make one, those that count stand together at
    one end, and stay as they were.

    Args:
        moved: which elements of a tensor other content in the padding changed.
        index: whose slice of it is whose, as far as it is known.
    """
    if index is None or index.axis is None or moved.ndim < 2:
        return False
    samples = np.moveaxis(moved, index.axis, 0)
    if not samples.reshape(len(samples), -1).any(axis=1).all():
        return False
    for axis in range(1, samples.ndim):
        rows = np.asarray(np.moveaxis(samples, axis, 1).reshape(len(samples), samples.shape[axis], -1).any(axis=2))
        if not (rows[:, 0].all() and rows[:, -1].all()):
            return False
    return True


def _samples(shape: tuple[int, ...], index: BatchIndex | None, size: int) -> tuple[int | None, np.ndarray]:
    """The axis of the samples and the owner of each slice along it."""
    if index is not None and index.axis is not None and index.axis < len(shape):
        owners = np.array(index.owners, np.intp)
        if len(owners) == shape[index.axis] and ((owners >= 0) & (owners < size)).all():
            return index.axis, owners
    if shape and shape[0] == size:
        return 0, np.arange(size)
    return None, np.zeros(0, np.intp)


def _merged(length: int, size: int, steps: int) -> list[np.ndarray]:
    """The step of every slice of an axis of samples and steps, in each order in which those are merged."""
    place, share = np.arange(length), length // size
    return [
        within for inside in (place % share, place // size) for within in (inside // (share // steps), inside % steps)
    ]


def _away(step: np.ndarray, count: np.ndarray, steps: int) -> np.ndarray:
    padding: np.ndarray = step >= count
    if steps >= _MIRRORED:
        padding = padding | (step < steps - count)
    return padding


def _along(away: np.ndarray, shape: tuple[int, ...], axis: int) -> np.ndarray:
    return np.broadcast_to(away.reshape([-1 if number == axis else 1 for number in range(len(shape))]), shape)


def _across(away: np.ndarray, shape: tuple[int, ...], axis: int | None, steps: int) -> np.ndarray:
    """``(samples, steps)`` where those axes are; ``(1, steps)`` where the samples have none."""
    if axis is None:
        return _along(away[0], shape, steps)
    table = away if axis < steps else away.T
    return np.broadcast_to(
        table.reshape([length if number in (axis, steps) else 1 for number, length in enumerate(shape)]), shape
    )
