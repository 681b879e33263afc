"""Which of the perturbed passes reached which elements of one tensor."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache

import numpy as np

from kmr_cli.arrays.changes import changed, differences, differs, is_short
from kmr_cli.arrays.digests import Fingerprint
from kmr_cli.evidence.owners import (
    NOBODY,
    along_axis,
    along_axis_reached,
    from_bits,
    from_owners,
    from_reached,
    from_rows,
)
from kmr_cli.records import BatchIndex

SINGLY = 8
"""Up to this many samples each is replaced in a pass of its own; above, in groups by the bits of their index."""
_ROW = 1 << 11
"""Elements of a sample from which on its row is looked at by itself: below, looking at all elements costs less."""
_PLACES, _SOME = 4, 64
"""At how many places of a row how many elements are remembered, to see at once that it changed."""


class Reach:
    """Passes that reached a tensor: unsigned integers, one per element, whose bit j stands for pass j.

    As long as no pass changed anything but rows of samples that it replaced, which is nearly always, bits per row take
    their place, and the tensor need not be kept: digests tell that a row did not change, and a few of its elements
    that it did.

    Args:
        before: the tensor of the unchanged batch.
        size: samples in the batch.
        rows: whether bits per row may do.

    Attributes:
        fingerprint: of that tensor; with a part for every row as long as there are bits per row.
    """

    def __init__(self, before: np.ndarray, size: int, *, rows: bool = True) -> None:
        self._shape, self._size = before.shape, size
        self._bits = max(1, int(size - 1).bit_length())
        passes = size if size <= SINGLY else 2 * self._bits
        self._kind = np.uint8 if passes <= 8 else np.uint16 if passes <= 16 else np.uint64
        large = before.size >= _ROW * size and not before.dtype.hasobject
        in_rows = rows and large and before.shape[:1] == (size,) and size > 1
        self._rows: list[int] | None = [0] * size if in_rows else None
        self._elements: np.ndarray | None = None if in_rows else np.zeros(before.shape, self._kind)
        self._some: Sequence[np.ndarray] | np.ndarray = ()
        if in_rows:  # memory with gaps is copied, and that a row at a time
            self._some = _some(before, size) if before.flags.c_contiguous else [_some(row, 1)[0] for row in before]
        self.fingerprint = Fingerprint(before, size if in_rows else 1)

    @property
    def in_rows(self) -> bool:
        """Whether bits per row still say all: then the tensor need not be kept."""
        return self._rows is not None

    def add(self, number: int, replaced: Collection[int], before: np.ndarray | None, after: np.ndarray) -> bool:
        """What pass ``number`` changed.

        Args:
            number: of the pass.
            replaced: its samples.
            before: the tensor of the unchanged batch, contiguous in C order; None if it was not kept.
            after: of the same shape.

        Returns:
            Whether bits per row can say it. Otherwise nothing was noted: see :meth:`by_element`.
        """
        if self._rows is not None:
            moved = self._moved_rows(replaced, before, after)
            for row in moved or ():
                self._rows[row] |= 1 << number
            return moved is not None
        assert self._elements is not None
        if before is not None and is_short(before, after):  # to look at all costs less than a digest
            self._elements |= changed(before, after).view(np.uint8).astype(self._kind) << self._kind(number)
            return True
        if self.fingerprint.same(after):
            return True
        assert before is not None  # it may be missing only where bits per row say all
        flat = self._elements.reshape(-1)
        for place, mask in differences(before, after):
            flat[place] |= mask.astype(self._kind) << self._kind(number)
        return True

    def _moved_rows(self, replaced: Collection[int], before: np.ndarray | None, after: np.ndarray) -> set[int] | None:
        """Rows of replaced samples that changed; None if another row did, or may have.

        Without ``before`` other bits are a change: it is their own sample that these rows then show.
        """
        moved = {row for row in replaced if differs(self._some[row], _some(after[row], 1)[0])}
        others = [row for row in range(self._size) if row not in moved]
        for row in self.fingerprint.doubtful(after, others):
            if before is not None and not differs(before[row], after[row]):
                continue
            if row not in replaced:
                return None
            moved.add(row)
        return moved

    def by_element(self, *, rows_again: bool) -> None:
        """From now on there are bits for every element.

        Args:
            rows_again: the passes so far are going to be added again. Otherwise a row that changed in one counts as
                changed all over.
        """
        if self._rows is not None:
            self._elements = np.zeros(self._shape, self._kind) if rows_again else np.array(self.elements)
            self._rows, self._some = None, ()

    @property
    def elements(self) -> np.ndarray:
        """The bits of every element, in the shape of the tensor. Not to be written to."""
        if self._rows is None:
            assert self._elements is not None
            return self._elements
        bits = np.array(self._rows, self._kind).reshape(-1, *[1] * (len(self._shape) - 1))
        return np.broadcast_to(bits, self._shape)

    def rows_changed(self, number: int) -> int:
        """In how many rows pass ``number`` changed something."""
        found = self.elements & self._kind(1 << number)
        return int(np.count_nonzero(found.reshape(len(found), -1).any(axis=1)))

    def index(self) -> BatchIndex:
        """The batch index. ``constant`` here means that nothing reached the tensor."""
        size = self._size
        if self._rows is not None:
            return _index_of_rows(tuple(map(self._shown, self._rows)))
        if size <= SINGLY:
            return from_reached(self.elements, size)
        return from_owners(self._owners(), size, tuple(range(size)))

    def of(self, samples: Collection[int]) -> np.ndarray:
        """Which elements some of the samples moved, each alone."""
        if self._size > SINGLY:
            return np.isin(self._owners(), list(samples))
        return np.isin(self.elements, [1 << sample for sample in samples])

    def along(self, axis: int) -> np.ndarray | None:
        """The owner of every slice along an axis, a sample or NOBODY; None where a slice has several."""
        if self._size <= SINGLY:
            return along_axis_reached(self.elements, axis)
        return along_axis(self._owners(), axis)

    def _owners(self) -> np.ndarray:
        """Of every element, after group passes."""
        found, full = self.elements, self._kind((1 << self._bits) - 1)
        return from_bits(found & full, found >> self._kind(self._bits) & full, self._bits)

    def _shown(self, bits: int) -> bool:
        """Whether a row's sample moved it: after groups only if it moved with every group that the sample was in."""
        if self._size <= SINGLY:
            return bits != 0
        full = (1 << self._bits) - 1
        return (bits & full) ^ (bits >> self._bits) == full

    def movement(self, axis: int = 0) -> list[set[int]] | None:
        """For every sample's share of an axis, which samples moved it; None after group passes or for odd shapes."""
        size, shape = self._size, self._shape
        if size > SINGLY or len(shape) <= axis or shape[axis] % size:
            return None
        rows = np.moveaxis(self.elements, axis, 0).reshape(size, -1)
        union = np.bitwise_or.reduce(rows, axis=1) if rows.shape[1] else np.zeros(size, np.uint8)
        return [{sample for sample in range(size) if bits >> sample & 1} for bits in union.tolist()]


def _some(array: np.ndarray, rows: int) -> np.ndarray:
    """A copy of a few elements of every row, from all over it: neighbours, as memory hands out as many at once."""
    length = array.size // rows
    flat = array.reshape(rows, length)[:, : length // _PLACES * _PLACES]
    return np.array(flat.reshape(rows, _PLACES, length // _PLACES)[:, :, -_SOME:])


@lru_cache(maxsize=256)  # nearly all tensors of a model have the same
def _index_of_rows(reached: tuple[bool, ...]) -> BatchIndex:
    """Of rows that never changed without their own sample."""
    return from_rows(np.where(reached, np.arange(len(reached)), NOBODY), len(reached))
