"""Samples of different lengths, for inputs that are ragged: filled up, with the number of steps of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from kmr_cli.batch.given_input import GivenInput
from kmr_cli.config.names import names_of_splits
from kmr_cli.errors import BatchError
from kmr_cli.records import Batch, TensorSpec


def in_ragged_parts(item: GivenInput, given: Sequence[GivenInput], specs: Sequence[TensorSpec]) -> Iterator[GivenInput]:
    """What was given for a ragged input as two: the samples filled up with zeros, and their lengths.

    Args:
        item: a list of arrays, one a sample; or the values of all samples in a row, beside row splits; or an array that
            is filled up already, which is left as it is.
        given: everything, of which row splits are taken where an item of such a name is there.
        specs: the model's inputs.

    Raises:
        BatchError: samples of different shapes, or row splits that do not fit the values.
    """
    others = [spec for spec in specs if spec.name not in {one.lengths for one in specs}]
    for spec in others:
        if spec.lengths is None:
            continue
        splits = next((one for one in given if one.name in names_of_splits(spec.name)), None)
        if item is splits:
            return
        if item.name != spec.name and not (item.name is None and len(others) == 1):
            continue
        array = item.array
        if isinstance(array, np.ndarray) and splits is not None and isinstance(splits.array, np.ndarray):
            array = _of_splits(array, splits.array, spec.name)
        if isinstance(array, np.ndarray) and holds_rows(array):
            filled, counts = _filled(array, item.source)
            yield replace(item, name=spec.name, array=filled)
            yield replace(item, name=spec.lengths, array=counts)
        else:
            yield replace(item, name=spec.name, array=array)
        return
    yield item


def with_lengths(assigned: Mapping[str, GivenInput], specs: Sequence[TensorSpec]) -> dict[str, GivenInput]:
    """Every sample as long as there are steps, where nothing else is said."""
    result = dict(assigned)
    for spec in specs:
        item = result.get(spec.name)
        if spec.lengths is not None and item is not None and spec.lengths not in result:
            array = item.array
            if isinstance(array, np.ndarray) and array.ndim > 1:
                result[spec.lengths] = replace(item, name=spec.lengths, array=np.full(len(array), array.shape[1]))
    return result


def refuse_lengths(batch: Batch, specs: Sequence[TensorSpec]) -> None:
    """Raise BatchError where a sample is to have more steps than there are, or fewer than none."""
    for spec in specs:
        if spec.lengths is None:
            continue
        counts, steps = batch[spec.lengths], batch[spec.name].shape[1]
        wrong = np.flatnonzero((counts < 0) | (counts > steps))
        if wrong.size:
            raise BatchError(
                f"input {spec.lengths!r}: sample {wrong[0]} is to have {counts[wrong[0]]} steps, and input"
                f" {spec.name!r} holds {steps}",
                "give the number of steps of each sample, or row splits where the values stand in a row",
            )


def holds_rows(array: np.ndarray) -> bool:
    """Whether it is a list of arrays."""
    return (
        array.dtype == object
        and array.ndim == 1
        and len(array) > 0
        and all(isinstance(row, (np.ndarray, list, tuple)) for row in array)
    )


def rows_of(value: object) -> np.ndarray | None:
    """A list of arrays of different lengths as an array of them; None where it is something else."""
    if not isinstance(value, (list, tuple)) or not value:
        return None
    try:
        rows = [np.asarray(row) for row in value]
    except (TypeError, ValueError):
        return None
    if any(row.ndim == 0 or row.dtype == object for row in rows):
        return None
    result = np.empty(len(rows), object)
    result[:] = rows
    return result


def _of_splits(values: np.ndarray, splits: np.ndarray, name: str) -> np.ndarray:
    fits = splits.ndim == 1 and splits.dtype.kind in "iu" and len(splits) > 0 and values.ndim > 0
    if not fits or splits[0] != 0 or splits[-1] != len(values) or (np.diff(splits.astype(np.int64)) < 0).any():
        raise BatchError(
            f"input {name!r}: the row splits do not fit the values: they begin with 0, never fall, and end with the"
            " number of values"
        )
    result = np.empty(len(splits) - 1, object)
    for sample, (first, end) in enumerate(pairwise(splits)):
        result[sample] = values[first:end]
    return result


def _filled(array: np.ndarray, source: str) -> tuple[np.ndarray, np.ndarray]:
    rows = [np.asarray(row) for row in array]
    shapes = {row.shape[1:] for row in rows if len(row)} or {rows[0].shape[1:]}
    if len(shapes) > 1 or any(row.ndim == 0 for row in rows):
        raise BatchError(f"{source}: the samples differ in more than their number of steps")
    counts = np.array([len(row) for row in rows])
    dtype = np.result_type(*rows)
    nothing = "" if dtype.kind in "OUST" else 0
    filled = np.full((len(rows), max(counts.max(), 1), *shapes.pop()), nothing, dtype)
    for sample, row in enumerate(rows):
        filled[sample, : len(row)] = row
    return filled, counts
