"""Which of the perturbed passes reached which elements of one tensor."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from kmr_cli.batch_index import NOBODY, differences, differs, from_bits, from_owners, from_reached, from_rows
from kmr_cli.fingerprint import Fingerprint
from kmr_cli.records import BatchIndex

SINGLY = 8
"""Up to this many samples each is replaced in a pass of its own; above, in groups by the bits of their index."""
_SMALL = 1 << 14  # elements: below, one look at all of them costs less than a look at each row


class Reach:
    """Passes that reached a tensor: unsigned integers, one per element, whose bit j stands for pass j.

    As long as a pass for sample j changed nothing but row j, which is nearly always, a flag per row takes their
    place. Where that ends, a row that changed before counts as changed all over.

    Args:
        before: the tensor of the unchanged batch.
        size: samples in the batch.

    Attributes:
        fingerprint: of that tensor; with a part for every row if there are flags.
    """

    def __init__(self, before: np.ndarray, size: int) -> None:
        shape = before.shape
        self._shape, self._size = shape, size
        self._bits = max(1, int(size - 1).bit_length())
        passes = size if size <= SINGLY else 2 * self._bits
        self._kind = np.uint8 if passes <= 8 else np.uint16 if passes <= 16 else np.uint64
        rows = size <= SINGLY and shape[:1] == (size,) and before.size > _SMALL
        self._rows: np.ndarray | None = np.zeros(size, bool) if rows else None
        self._elements: np.ndarray | None = None if rows else np.zeros(shape, self._kind)
        self.fingerprint = Fingerprint(before, size if rows else 1)

    def add(self, number: int, before: np.ndarray, after: np.ndarray) -> None:
        """What pass ``number`` changed.

        Args:
            number: of the pass.
            before: the tensor of the unchanged batch, contiguous in C order.
            after: of the same shape.
        """
        if self._rows is not None:
            others = [row for row in range(self._size) if row != number]
            same = self.fingerprint.same_parts(after, others)
            if not any(differs(before[row], after[row]) for row in others if not same[row]):
                self._rows[number] = differs(before[number], after[number])
                return
            self._elements, self._rows = np.array(self.elements), None
        elif self.fingerprint.same(after):
            return
        assert self._elements is not None
        flat = self._elements.reshape(-1)
        for place, moved in differences(before, after):
            flat[place] |= moved.astype(self._kind) << self._kind(number)

    @property
    def elements(self) -> np.ndarray:
        """The bits of every element, in the shape of the tensor. Not to be written to."""
        if self._rows is None:
            assert self._elements is not None
            return self._elements
        bits = self._rows.astype(self._kind) << np.arange(self._size, dtype=self._kind)
        return np.broadcast_to(bits.reshape(-1, *[1] * (len(self._shape) - 1)), self._shape)

    def index(self) -> BatchIndex:
        """The batch index. ``constant`` here means that nothing reached the tensor."""
        size, full = self._size, self._kind((1 << self._bits) - 1)
        if self._rows is not None:
            return _index_of_rows(tuple(self._rows.tolist()))
        if size <= SINGLY:
            return from_reached(self.elements, size)
        found = self.elements
        owners = from_bits(found & full, found >> self._kind(self._bits) & full, self._bits)
        return from_owners(owners, size, tuple(range(size)))

    def movement(self, axis: int = 0) -> list[set[int]] | None:
        """For every sample's share of an axis, which samples moved it; None after group passes or for odd shapes."""
        size, shape = self._size, self._shape
        if size > SINGLY or len(shape) <= axis or shape[axis] % size:
            return None
        rows = np.moveaxis(self.elements, axis, 0).reshape(size, -1)
        union = np.bitwise_or.reduce(rows, axis=1) if rows.shape[1] else np.zeros(size, np.uint8)
        return [{sample for sample in range(size) if bits >> sample & 1} for bits in union.tolist()]


@lru_cache(maxsize=256)  # nearly all tensors of a model have the same flags
def _index_of_rows(rows: tuple[bool, ...]) -> BatchIndex:
    return from_rows(np.where(rows, np.arange(len(rows)), NOBODY), len(rows))
