"""Inputs that look like masks, lengths or padded data, though nothing in the file says so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kmr_cli.arrays.masks import (
    adds_nothing,
    as_steps,
    forbidding_value,
    hiding_value,
    padded_steps,
    pairs_hide,
    two_valued,
)
from kmr_cli.batch.contents import orders_steps
from kmr_cli.config.names import tells_ids_by_name, tells_lengths_by_name, tells_mask_by_name, tells_other_by_name
from kmr_cli.records import Batch, ModelInfo, TensorSpec

_MASKING = re.compile(r"(^|[/.])(masking|not_?equal)(_\d+)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Likely:
    """What may be a mask.

    Attributes:
        what: it seems to be: ``mask``, ``lengths``, ``padding`` (seen in the data), ``steps`` (which may hold some).
        name: of the input.
        option: value of ``--mask-input`` that has it examined.
        value: that seems to stand for padding, of all but ``mask``.
        seen: whether it shows in the data that it does; otherwise it is the usual one.
        of: input that is padded, of ``lengths``.
    """

    what: str
    name: str
    option: str
    value: float | None = None
    seen: bool = True
    of: str = ""


def likely_masks(info: ModelInfo, batch: Batch) -> Iterator[Likely]:
    """Inputs that look like masks or lengths; where there are none, those whose steps hold padding, or may.

    Args:
        info: the model.
        batch: what it is checked on.
    """
    ragged = {name for spec in info.inputs if spec.lengths for name in (spec.name, spec.lengths)}
    apart = ragged | {spec.name for spec in info.inputs if spec.sparse}  # nothing else is there to be seen
    batch = {name: values for name, values in batch.items() if name not in apart}
    found = [*_masks(batch), *_lengths(batch)]
    yield from found or _padded(info, batch)


def masking_layers(info: ModelInfo) -> list[str]:
    """Paths of layers that go by the name of one that masks steps, in files that do not tell which."""
    return [layer.path for layer in info.layers if _MASKING.search(layer.path)]


def _masks(batch: Batch) -> Iterator[Likely]:
    for name, values in batch.items():
        if tells_other_by_name(name):
            continue
        hides = pairs_hide(values)
        flags = values.dtype.kind == "b" or tells_mask_by_name(name) or forbidding_value(values) is not None
        if hides is not None and flags and _masks_something(name, (len(values), values.shape[-1]), batch):
            yield Likely("mask", name, name)
            continue
        forbids = forbidding_value(values)
        if not two_valued(values) and forbids is None:
            continue
        steps = as_steps(values)
        if adds_nothing(values) is not None and not tells_mask_by_name(name):
            continue
        forbids = adds_nothing(values) or forbids
        if steps is not None and forbids is not None and _masks_something(name, steps.shape, batch):
            yield Likely("mask", name, name)
            continue
        if steps is None or forbids is not None or steps.shape[1] < 2 or not _masks_something(name, steps.shape, batch):
            continue
        hides = hiding_value(steps)
        varied = hides is not None and len(np.unique(steps.sum(axis=1))) > 1
        if values.dtype.kind == "b" or tells_mask_by_name(name) or varied:
            polarity = "" if not hides else "=True" if values.dtype.kind == "b" else "=1"
            yield Likely("mask", name, name + polarity)


def _masks_something(name: str, shape: tuple[int, ...], batch: Batch) -> bool:
    """Whether another input has as many steps, for as many samples."""
    others = [other.shape for key, other in batch.items() if key != name]
    return any(len(other) > 1 and other[0] == shape[0] and shape[1] in other[1:3] for other in others)


def _lengths(batch: Batch) -> Iterator[Likely]:
    for name, values in batch.items():
        if values.size != len(values) or values.dtype.kind not in "iuf" or tells_other_by_name(name):
            continue
        for key, other in batch.items():
            if key == name or other.ndim < 2 or other.dtype.kind not in "iuf":
                continue
            padding = padded_steps(other)
            if padding is not None and tells_lengths(values, padding.counts, other.shape[padding.axis]) is not None:
                value = padding.value + 0.0  # no -0
                yield Likely("lengths", name, f"{key}={value:g}", value, of=key)
                break
            if tells_lengths_by_name(name) and padding is None and 1 < values.max() <= max(other.shape[1:]):
                yield Likely("lengths", name, f"{key}=0", 0, seen=False, of=key)
                break


def tells_lengths(values: np.ndarray, counts: np.ndarray, steps: int) -> bool | None:
    """Whether an input says how many steps of each sample count.

    Args:
        values: of the input, one a sample.
        counts: how many do, ``(samples,)``.
        steps: how many there are.

    Returns:
        False where it holds the numbers, True where it holds their shares of all steps, None where it does neither.
    """
    if values.dtype.kind not in "iuf" or values.shape[:1] != counts.shape or values.size != len(counts):
        return None
    flat = values.reshape(-1)
    if (flat == counts).all():
        return False
    relative = values.dtype.kind == "f" and ((flat > 0) & (flat <= 1)).all()
    return True if relative and (np.abs(flat * steps - counts) <= 1).all() else None


def _padded(info: ModelInfo, batch: Batch) -> Iterator[Likely]:
    for spec in info.inputs:
        if spec.name not in batch:
            continue
        values = batch[spec.name]
        other = values.dtype == object or _is_image(values) or tells_other_by_name(spec.name) or orders_steps(values)
        found = None if other else padded_steps(values)
        if found is not None:
            value = found.value + 0.0  # no -0
            yield Likely("padding", spec.name, f"{spec.name}={value:g}", value)
        elif _takes_ids(info, spec, values):
            yield Likely("steps", spec.name, f"{spec.name}=0", 0, seen=False)


def _is_image(values: np.ndarray) -> bool:
    """Pixels have borders of one value; they aren't padding that a neighbour decides about."""
    return values.dtype == np.uint8 or values.ndim > 3


def _takes_ids(info: ModelInfo, spec: TensorSpec, values: np.ndarray) -> bool:
    if values.ndim != 2 or values.shape[1] < 2 or values.dtype.kind not in "iu" or tells_other_by_name(spec.name):
        return False
    if orders_steps(values) and (values == values[:1]).all():
        return False  # positions
    free = info.free_dims and spec.shape is not None and len(spec.shape) == 2 and spec.shape[1] is None
    unknown = not info.free_dims and spec.limit is not None and tells_ids_by_name(spec.name)
    return bool(free or unknown)
