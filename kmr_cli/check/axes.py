"""The axis of an output that carries the samples, also where none separates them, and who moves whom along it."""

from __future__ import annotations

import numpy as np

from kmr_cli.check.run import Run
from kmr_cli.evidence.owners import NOBODY
from kmr_cli.evidence.taps import Tap
from kmr_cli.records import BatchIndex

Movement = list[set[int]]
"""For every sample's share of an axis, which samples moved it."""


def carrying_axes(run: Run, tap: Tap) -> list[int]:
    """Axes of an output that could carry the samples: at every batch size as long as the batch, or a multiple."""
    size, shape = run.evidence.size, run.evidence.specs[tap].shape
    shapes = [(found.size, found.shapes[tap[2]]) for found, _ in run.sizes if tap[2] in found.shapes]
    if any(len(other) == len(shape) for _, other in shapes):  # squeeze() drops an axis at one size, which isn't proof
        shapes = [(number, other) for number, other in shapes if len(other) == len(shape)]
    return [
        axis
        for axis, length in enumerate(shape)
        if length and length % size == 0 and all(
            len(other) == len(shape) and other[axis] * size == length * number for number, other in shapes
        )
    ]  # fmt: skip


def possible_axis(run: Run, tap: Tap) -> int | None:
    """The axis that may carry the samples of a tap in which some never showed; None where none can.

    A sample has no more slices along it than its even share: the one sample that an output is made of has all of them,
    however long the output is.
    """
    size, shape = run.evidence.size, run.evidence.specs[tap].shape
    axes = carrying_axes(run, tap) if not tap[0] else [
        axis for axis, length in enumerate(shape) if length and length % size == 0
    ]  # fmt: skip
    reached = run.evidence.reached[run.evidence.canonical[tap]]
    for axis in axes:
        along = reached.along(axis)
        if along is not None and np.bincount(along[along != NOBODY], minlength=size).max() * size <= shape[axis]:
            return axis
    return None


def completed(run: Run, tap: Tap) -> BatchIndex:
    """The batch index of a tap in which some samples never showed, with theirs where the order of the others puts it.

    As it stands where no axis can carry the samples, or they are in no order that is known.
    """
    index, axis = run.indices[tap], possible_axis(run, tap)
    if axis is None:
        return index
    along = run.evidence.reached[run.evidence.canonical[tap]].along(axis)
    assert along is not None
    places, size = np.arange(len(along)), run.evidence.size
    known = along != NOBODY
    for pattern in (places // (len(along) // size), places % size):
        if (along[known] == pattern[known]).all():
            return BatchIndex("inconclusive", axis, tuple(pattern.tolist()))
    return index


def movement(run: Run, tap: Tap) -> Movement | None:
    """Dependence between samples at an output, along the axis that carries the samples.

    Where they are mixed and several axes could be it (scores of everybody with everybody), the one along which they
    are mixed least. None where no axis could be, nothing is known of it, or groups of samples were replaced.
    """
    evidence = run.evidence
    if not evidence.singly or tap not in run.indices or tap in evidence.nondeterministic | evidence.rerouted:
        return None
    index = run.indices[tap]
    if index.kind == "merged" and index.axis is not None:
        return _of_owned(run, tap, index.axis)
    axes = carrying_axes(run, tap) if index.axis is None else [index.axis]
    known = [found for axis in axes if (found := evidence.movement(tap, axis)) is not None]
    return min(known, key=lambda found: len(pairs(found)), default=None)


def pairs(found: Movement) -> list[tuple[int, int]]:
    """(moved, changed) of different samples, in order."""
    return [(part, changed) for part, movers in enumerate(found) for changed in sorted(movers) if changed != part]


def _of_owned(run: Run, tap: Tap, axis: int) -> Movement:
    """Of samples with several slices each, which need not be neighbours."""
    elements = np.moveaxis(run.evidence.reached[run.evidence.canonical[tap]].elements, axis, 0)
    found: Movement = [set() for _ in range(run.evidence.size)]
    for owner, row in zip(run.indices[tap].owners, elements, strict=True):
        if owner != NOBODY:
            bits = int(np.bitwise_or.reduce(row, axis=None))
            found[owner] |= {sample for sample in range(run.evidence.size) if bits >> sample & 1}
    return found
