"""The batch that a model is run on, made from what a user says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from kmr_cli.api.opened import Opened
from kmr_cli.batch.fit import fit
from kmr_cli.batch.from_function import from_function
from kmr_cli.batch.given import batch_size, from_arrays, read_files, try_apart
from kmr_cli.batch.given_input import GivenInput
from kmr_cli.batch.request import BatchRequest
from kmr_cli.batch.synthetic import CHECKED, choose_batch_size, synthesize
from kmr_cli.batch.words import count_samples
from kmr_cli.config.arguments import refuse_size_and_seed
from kmr_cli.config.samples import Index, least_size, resolve_index
from kmr_cli.errors import BatchError, LimitError, ModelRunError
from kmr_cli.evidence.passes import SINGLY
from kmr_cli.formats.facts import channels_first, without_inputs

_MOST_INPUT = 4 * 10**9
"""Bytes of a batch that is run only because its size was asked for."""

Arrays: TypeAlias = dict[str, np.ndarray]
"""Input name -> array with the samples along axis 0."""


def make_batch(opened: Opened, asked: BatchRequest, index: Index = 0) -> tuple[Arrays, Arrays | None]:
    """The batch as asked for, and the rows that are left over to replace samples with, if there are any.

    Args:
        opened: the model.
        asked: the request.
        index: samples that must be in a synthetic batch.

    Raises:
        BatchError: the request does not fit the model.
    """
    refuse_size_and_seed(asked.size, asked.seed)
    given = [] if asked.synthetic else _given(opened, asked)
    opened.admit({one.name for one in given if one.name} | {name for name in asked.shapes if name})
    info, size = opened.info, asked.size
    if info.unfit is not None:
        raise BatchError(*info.unfit)
    opened.learn_inputs()
    info = opened.info
    fixed = info.fixed_batch
    if size is not None and fixed not in (None, size):
        raise BatchError(
            f"the model takes exactly {count_samples(fixed)} at a time, not {size}", f"give --batch-size {fixed}"
        )
    if size is not None and not info.takes(size):
        least, most = info.batch_range
        range_ = f"at least {least}" if most is None else f"{least} to {most}"
        raise BatchError(f"the model takes {range_} samples at a time, not {size}", "give another --batch-size")
    if asked.synthetic:
        return _synthetic(opened, asked, index), None
    if asked.shapes:
        raise BatchError("--shape is for synthetic data, but data was given", "leave out --shape or --input")
    rows = fixed if size is None else None
    batch = fit(
        given,
        info.inputs,
        fixed_batch=rows,
        notice=lambda text: opened.report("notice", text),
        without_inputs=without_inputs(info.format),
    )
    have = batch_size(batch)
    if size is None or size == have:
        return batch, None
    if size > have:
        raise BatchError(f"a batch of {size} samples, but the data holds {have}")
    return _split(batch, size)


def take_batch(opened: Opened, asked: BatchRequest) -> tuple[Arrays, Arrays | None]:
    """A small batch, for what runs a model often, and the rows that are left over to replace samples with.

    Raises:
        BatchError: the request does not fit the model.
    """
    info = opened.info
    if asked.size is None and asked.synthetic and info.fixed_batch is None:
        asked = replace(asked, size=choose_batch_size(info, minimum=CHECKED, shapes=asked.shapes))
    arrays, spare = make_batch(opened, asked)
    if asked.size is None and batch_size(arrays) > SINGLY and info.fixed_batch is None:
        have = batch_size(arrays)
        first = f"the batch is the first {SINGLY} of {have} samples"
        opened.report("notice", f"{first}, the rest serve as replacements; --batch-size takes more")
        return _split(arrays, SINGLY)
    return arrays, spare


def refuse_sizes(opened: Opened, sizes: Sequence[int], batch: Arrays) -> None:
    """Refuse sizes at which the inputs alone would fill the memory; say so where none can be tried.

    Raises:
        BatchError: that.
    """
    fixed = opened.info.fixed_batch
    if fixed is not None:
        if sizes:
            opened.report("notice", f"the model takes exactly {fixed} samples: no other batch size is tried")
        return
    needed = max(sizes, default=0) * sum(values.nbytes for values in batch.values()) // batch_size(batch)
    if needed > _MOST_INPUT:
        raise BatchError(
            f"a batch of {max(sizes)} samples takes {needed / 1e9:.1f} GB for the inputs alone",
            "leave out the largest of the batch sizes",
        )


def _synthetic(opened: Opened, asked: BatchRequest, index: Index) -> Arrays:
    chosen = asked.size or choose_batch_size(opened.info, least_size(index), shapes=asked.shapes)
    batch = synthesize(opened.info, chosen, asked.seed, asked.shapes)
    resolve_index(index, chosen)
    made = f"{count_samples(chosen)}, seed {asked.seed}"
    opened.report("notice", f"the data is synthetic ({made}); give your own with --input")
    return batch


def _given(opened: Opened, asked: BatchRequest) -> list[GivenInput]:
    if asked.function is not None:
        return from_function(asked.function)
    if not asked.files:
        return from_arrays(asked.data)
    try_in_child(opened, asked)
    return read_files(asked.files, asked.reading, channels_first=channels_first(opened.info.format))


def try_in_child(opened: Opened, asked: BatchRequest) -> None:
    """Have files whose library may neither return nor survive read in a process that can be ended.

    Raises:
        BatchError, LimitError: one of them cannot be read.
    """
    for path, files in try_apart(asked.files).items():
        try:
            opened.run_apart("try_data", {"path": str(path), "files": files, "rows": asked.reading.rows})
        except LimitError as exc:
            again = "copy the file, or write it, again; or raise --timeout or --memory"
            raise LimitError(f"{path}: reading it took too long, or too much memory", again) from exc
        except ModelRunError as exc:
            raise BatchError(
                f"{path}: damaged: the library that reads it crashed", "copy the file, or write it, again"
            ) from exc


def _split(batch: Arrays, size: int) -> tuple[Arrays, Arrays]:
    first = {name: values[:size] for name, values in batch.items()}
    return first, {name: values[size:] for name, values in batch.items()}
