"""What a session may tell of questions that its model asks: of sizes, and of numbers that stand nowhere in its file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from kmr_cli.formats.interface import Session

if TYPE_CHECKING:
    import numpy as np

    from kmr_cli.records import Batch


@runtime_checkable
class BranchingSession(Session, Protocol):
    """A session on a model of which it can be told at which other numbers of samples it does something else."""

    def kinds_of_sizes(self, batch: Batch, sizes: Sequence[int]) -> Sequence[Sequence[int]]:
        """Batch sizes, ascending, at which the same is done, as far as can be seen: ``sizes``, or more than these.

        None where nothing can be told of any.
        """


@runtime_checkable
class ComputingSession(Session, Protocol):
    """A session that can tell the numbers which a pass computes from no sample and compares samples with."""

    def computed(self, batch: Batch) -> Sequence[np.ndarray]:
        """These numbers, as far as they can be seen.

        Raises:
            ModelRunError: the model fails.
        """
