"""Batch after batch of a data set, as a model takes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kmr_cli.api.batches import Arrays, try_in_child
from kmr_cli.api.opened import Opened
from kmr_cli.batch.dataset import DataSet, data_set
from kmr_cli.batch.fit import fit
from kmr_cli.batch.given import batch_size
from kmr_cli.batch.request import BatchRequest
from kmr_cli.batch.words import count_samples
from kmr_cli.config.arguments import refuse_size_and_seed
from kmr_cli.config.reading import InputFiles, Reading
from kmr_cli.errors import BatchError
from kmr_cli.formats.facts import channels_first, without_inputs
from kmr_cli.records import ModelInfo

USUAL = 32
"""Samples that are run together where nobody says how many."""


class Feed:
    """The batches of a data set, all of one size: the last is filled up with copies of its last sample.

    So every row of a value comes out of the same arithmetic, and what the first batch shows of a value holds for the
    others as far as their size goes.

    Args:
        opened: the model, which learns from this what it takes.
        asked: where the samples come from, and how many are run together.

    Attributes:
        size: samples in a batch.
        batches: how many there are.
        data: the samples.
        info: what the model's file declares, with what the data names of optional inputs.

    Raises:
        BatchError: the data does not fit the model.
    """

    def __init__(self, opened: Opened, asked: BatchRequest) -> None:
        refuse_size_and_seed(asked.size, asked.seed)
        if opened.info.unfit is not None:
            raise BatchError(*opened.info.unfit)
        first_rows = _rows(asked, USUAL if asked.size is None else asked.size)
        try_in_child(opened, first_rows)
        opened.learn_inputs()
        self._report = opened.report
        names = {spec.name for spec in opened.info.inputs}
        self.data: DataSet = data_set(asked, names, channels_first=channels_first(opened.info.format))
        opened.admit({one.name for one in self.data.read(0, 1) if one.name})
        self.info: ModelInfo = opened.info
        self.size = _size(self.info, asked.size, self.data.samples)
        self.batches = -(-self.data.samples // self.size)

    def batch(self, number: int, *, tell: bool = False) -> Arrays:
        """The samples of a batch, by the names of the inputs.

        Raises:
            BatchError: they cannot be read, or do not fit the model.
        """
        start = number * self.size
        stop = min(start + self.size, self.data.samples)
        arrays = fit(
            self.data.read(start, stop),
            self.info.inputs,
            fixed_batch=None,
            notice=(lambda text: self._report("notice", text)) if tell else (lambda _text: None),
            without_inputs=without_inputs(self.info.format),
        )
        if batch_size(arrays) != stop - start:
            raise BatchError(f"the data holds other samples than a moment ago: not all of {start}:{stop} are there")
        return {name: _filled(values, self.size) for name, values in arrays.items()}


def _rows(asked: BatchRequest, rows: int) -> BatchRequest:
    """The same, but for the first rows of the files only."""
    if not asked.files:
        return asked
    start = asked.reading.chosen.start
    first = Reading(f"{start}:{start + rows}", asked.reading.resize, asked.reading.scale)
    return replace(asked, data=InputFiles.of(asked.files, first))


def _size(info: ModelInfo, asked: int | None, samples: int) -> int:
    """Samples that are run together: as asked for, as the model takes, or all where these are fewer.

    Raises:
        BatchError: the model does not take so many.
    """
    fixed = info.fixed_batch
    least, most = info.batch_range
    if fixed is not None:
        if asked not in (None, fixed):
            raise BatchError(
                f"the model takes exactly {count_samples(fixed)} at a time, not {asked}", f"give --batch-size {fixed}"
            )
        return fixed
    if asked is not None and not info.takes(asked):
        range_ = f"at least {least}" if most is None else f"{least} to {most}"
        raise BatchError(f"the model takes {range_} samples at a time, not {asked}", "give another --batch-size")
    size = asked or max(least, min(USUAL, most or USUAL))
    return max(least, min(size, samples))


def _filled(values: np.ndarray, size: int) -> np.ndarray:
    missing = size - len(values)
    return np.concatenate([values, np.repeat(values[-1:], missing, axis=0)]) if missing else values
