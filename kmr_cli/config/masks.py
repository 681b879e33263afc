"""Inputs that say which steps count: named by the user, or implied by the model's own layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kmr_cli.arrays.masks import (
    adds_nothing,
    as_steps,
    forbidding_value,
    hiding_value,
    is_padding,
    padded_steps,
    pairs_hide,
    two_valued,
)
from kmr_cli.config.names import speaks_of_padding, tells_mask_by_name
from kmr_cli.errors import BatchError
from kmr_cli.records import Batch, TensorSpec

_WORDS = {"true": "1", "false": "0"}


@dataclass(frozen=True)
class Mask:
    """How a model learns which steps count.

    Attributes:
        name: the input.
        value: steps of the input that hold it are padding; None where the input is a mask itself.
        implied: the model's own layers read it so; nobody had to say it.
        hides: of a mask, the value that stands for padding: 0, or 1 (True) as torch's ``key_padding_mask`` has it, or
            what is added to scores to leave nothing of a step.
        axis: of the input, that the steps lie along.
        pairs: it says of every step which others it looks at; those lie along ``axis``.
    """

    name: str
    value: float | None = None
    implied: bool = False
    hides: float = 0
    axis: int = 1
    pairs: bool = False

    @property
    def padding(self) -> float:
        """What the input holds where a step is padding."""
        return self.hides if self.value is None else self.value

    @property
    def counted(self) -> float:
        """What a mask holds where a step counts."""
        return 1 - self.hides if self.hides in (0, 1) else 0


def masks_of(texts: Sequence[str], specs: Sequence[TensorSpec], batch: Batch) -> list[Mask]:
    """The masks that are named, and those that the model's own layers imply.

    Args:
        texts: ``mask``, ``mask=True`` or ``tokens=0``, as typed on the command line. Where the value that hides a
            step is not given of a mask, its values tell: see :func:`kmr_cli.arrays.masks.hiding_value`.
        specs: the model's inputs.
        batch: the data; an implied mask needs two steps at least.

    Raises:
        BatchError: no such input, not a number, or no steps.
    """
    masks = _parse(texts, specs, batch)
    for mask in masks:
        if not _has_steps(batch[mask.name], mask.axis):
            raise BatchError(f"input {mask.name!r} has no steps to mask", "a mask has the shape (batch, steps)")
        if mask.value is None and not mask.pairs and as_steps(batch[mask.name]) is None:
            raise BatchError(
                f"input {mask.name!r} seems to mask pairs of steps, but doesn't show which steps are padding",
                "give data with --input in which samples have different lengths, or name the input that is padded, as"
                f" --mask-input {_padded_beside(mask.name, batch)}",
            )
    masks += _told_twice(masks, batch)
    named = {mask.name for mask in masks}
    for spec in specs:
        if spec.padding is not None and spec.name not in named and _has_steps(batch[spec.name]):
            masks.append(Mask(spec.name, spec.padding, implied=True))
    return masks


def _has_steps(values: np.ndarray, axis: int = 1) -> bool:
    return values.ndim > axis and values.shape[axis] > 1


def _told_twice(masks: Sequence[Mask], batch: Batch) -> Iterator[Mask]:
    """Masks that say of every sample what the padding in an input says: they have to change with it."""
    named = {mask.name for mask in masks}
    for mask in [mask for mask in masks if mask.value is not None]:
        data = np.moveaxis(batch[mask.name], mask.axis, 1)
        counted = ~(data == mask.value).reshape(*data.shape[:2], -1).all(axis=2)
        for name, values in batch.items():
            hides = None if name in named else pairs_hide(values)
            if hides is not None and values.shape[-1] == counted.shape[1]:
                pairs = Mask(name, implied=True, hides=hides, axis=values.ndim - 1, pairs=True)
                if (is_padding(values, hides, pairs.axis) == ~counted).all():
                    named.add(name)
                    yield pairs
            steps = as_steps(values) if name not in named else None
            if steps is None or steps.shape != counted.shape:
                continue
            forbids = adds_nothing(values) or forbidding_value(values)
            if not two_valued(values) and forbids is None:
                continue
            if counted.all() and not tells_mask_by_name(name):
                continue
            for value in (0, 1) if forbids is None else (forbids,):
                if ((steps != value) == counted).all():
                    named.add(name)
                    yield Mask(name, implied=True, hides=value, axis=_long_axis(values))


def _parse(texts: Sequence[str], specs: Sequence[TensorSpec], batch: Batch) -> list[Mask]:
    known = {spec.name for spec in specs}
    masks = []
    for text in texts:
        name, given, value = text.partition("=") if text not in known else (text, "", "")
        if name not in known:
            raise BatchError(
                f"--mask-input: the model has no input {name!r}", f"it takes {', '.join(map(repr, sorted(known)))}"
            )
        try:
            number = float(_WORDS.get(value.lower(), value)) if given else None
        except ValueError:
            raise BatchError(f"--mask-input {text}: {value!r} is not a number", f"for example {name}=0") from None
        masks.append(_mask(name, number, batch))
    return masks


def _mask(name: str, number: float | None, batch: Batch) -> Mask:
    values = batch[name]
    hidden = pairs_hide(values)
    if hidden is not None and number in (None, hidden):
        return Mask(name, hides=hidden, axis=values.ndim - 1, pairs=True)
    forbids = adds_nothing(values, number) or forbidding_value(values)
    if forbids is not None and number in (None, forbids):
        return Mask(name, hides=forbids, axis=_long_axis(values))
    if number is None:
        return Mask(name, hides=_hides(name, values), axis=_long_axis(values))
    shaped = [other.shape[:2] for key, other in batch.items() if key != name]
    itself = values.dtype.kind == "b" or (two_valued(values) and values.ndim == 2 and values.shape in shaped)
    if itself and number in (0, 1):
        return Mask(name, hides=int(number), axis=_long_axis(values))
    return Mask(name, number, axis=_padded_axis(values, number))


def _padded_beside(name: str, batch: Batch) -> str:
    """The first other input that has as many steps, with what may stand for padding in it, as it is typed."""
    steps = batch[name].shape[-1]
    for other, values in batch.items():
        if other != name and values.ndim > 1 and steps in values.shape[1:3] and values.dtype.kind in "iuf":
            found = padded_steps(values)
            return f"{other}={found.value + 0.0:g}" if found is not None else f"{other}=0"
    return "NAME=VALUE"


def _long_axis(values: np.ndarray) -> int:
    """The one beside the samples that a mask has steps along: it may have others of length 1, to broadcast along."""
    return next((axis for axis in range(1, values.ndim) if values.shape[axis] > 1), 1)


def _padded_axis(values: np.ndarray, value: float) -> int:
    """The axis along which an input is padded with a value: the last one in ``(samples, features, steps)``."""
    found = padded_steps(values)
    return found.axis if found is not None and found.value == value else 1


def _hides(name: str, values: np.ndarray) -> int:
    """Which value of a mask stands for padding; 0 unless its values say otherwise.

    Raises:
        BatchError: they do not tell, and by its name it may be either.
    """
    steps = as_steps(values) if two_valued(values) else None
    found = None if steps is None or steps.shape[1] < 2 else hiding_value(steps)
    if found is None and steps is not None and speaks_of_padding(name):
        yes, no = ("True", "False") if values.dtype.kind == "b" else ("1", "0")
        raise BatchError(
            f"--mask-input {name}: which value stands for padding does not show in the data",
            f"--mask-input {name}={yes} or --mask-input {name}={no}",
        )
    return int(bool(found))
