"""The model fails on the batch itself: at which other sizes does it run?"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from kmr_cli.batch.given import batch_size
from kmr_cli.check.probes.resized import outputs_of, resized
from kmr_cli.check.run import Run
from kmr_cli.errors import ModelRunError
from kmr_cli.records import Batch

_USUAL = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 64)
_NAMED, _LARGEST_NAMED = 8, 256
"""Of the numbers that a message names, how many are tried, and up to which."""
_DIMENSIONS = 4


def sizes_that_work(run: Run, failure: ModelRunError, spare: Batch | None) -> tuple[list[int], list[int]]:
    """The sizes at which a model runs that fails on the batch, and at which it fails: one pass for each.

    Tried are those that its message names (``shape '[4, 256]' is invalid``: 4 and 256), other sizes of the inputs, all
    rows that there are, and the usual ones.

    Args:
        run: the check, whose batch the model does not take.
        failure: what it said.
        spare: further rows of the inputs.
    """
    rows = all_rows(run.batch, spare)
    named = [int(number) for number in re.findall(r"(?<![\w.])\d{1,3}(?![\w.])", failure.message)]
    small = [number for number in dict.fromkeys(named) if 1 < number <= _LARGEST_NAMED][:_NAMED]
    works: list[int] = []
    fails = [run.evidence.size]
    for size in dict.fromkeys([*small, *_USUAL, *dimensions(run.batch), batch_size(rows)]):
        if size == run.evidence.size or not run.info.takes(size):
            continue
        run.step(f"running a batch of {size}")
        found = outputs_of(run.session, first_rows(rows, size), run.taps)
        (fails if isinstance(found, ModelRunError) else works).append(size)
    return sorted(works), fails


def dimensions(batch: Batch) -> list[int]:
    """Other sizes of the inputs: what a hard-coded or coincident batch size may equal. At most four."""
    sizes = dict.fromkeys(length for values in batch.values() for length in values.shape[1:] if length > 1)
    return list(sizes)[:_DIMENSIONS]


def all_rows(batch: Batch, spare: Batch | None) -> dict[str, np.ndarray]:
    """The batch, and the rows that are left over."""
    return {name: np.concatenate([values, spare[name]]) if spare else values for name, values in batch.items()}


def first_rows(rows: Batch, size: int) -> dict[str, np.ndarray]:
    """So many rows, from the first on, again where there are too few."""
    return resized(rows, [place % batch_size(rows) for place in range(size)])


def square_input(rows: Batch) -> str | None:
    """An input with another axis as long as the first, as a matrix that relates all rows with each other has."""
    names: Iterable[str] = (name for name, values in rows.items() if len(values) in values.shape[1:])
    return next(iter(names), None)


def related(square: str) -> str:
    """What such an input says of the rows."""
    what = "rows may not be samples, but parts of one (the nodes of a graph, say)"
    return f"input {square!r} relates every row to every other, so {what}"
