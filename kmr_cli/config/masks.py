"""Inputs that say which steps count: named by the user, or implied by the model's own layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kmr_cli.errors import BatchError
from kmr_cli.records import Batch, TensorSpec


@dataclass(frozen=True)
class Mask:
    """How a model learns which steps (axis 1) count.

    Attributes:
        name: the input.
        value: steps of the input that hold it are padding; None where the input is a mask itself (0: padding).
        implied: the model's own layers read it so; nobody had to say it.
    """

    name: str
    value: float | None = None
    implied: bool = False


def masks_of(texts: Sequence[str], specs: Sequence[TensorSpec], batch: Batch) -> list[Mask]:
    """The masks that are named, and those that the model's own layers imply.

    Args:
        texts: ``mask`` or ``tokens=0``, as typed on the command line.
        specs: the model's inputs.
        batch: the data; an implied mask needs two steps at least.

    Raises:
        BatchError: no such input, not a number, or no steps.
    """
    masks = _parse(texts, specs)
    for mask in masks:
        if not _has_steps(batch[mask.name]):
            raise BatchError(f"input {mask.name!r} has no steps to mask", "a mask has the shape (batch, steps)")
    named = {mask.name for mask in masks}
    for spec in specs:
        if spec.padding is not None and spec.name not in named and _has_steps(batch[spec.name]):
            masks.append(Mask(spec.name, spec.padding, implied=True))
    return masks


def _has_steps(values: np.ndarray) -> bool:
    return values.ndim > 1 and values.shape[1] > 1


def _parse(texts: Sequence[str], specs: Sequence[TensorSpec]) -> list[Mask]:
    known = {spec.name for spec in specs}
    masks = []
    for text in texts:
        name, given, value = text.partition("=") if text not in known else (text, "", "")
        if name not in known:
            raise BatchError(
                f"--mask-input: the model has no input {name!r}", f"it takes {', '.join(map(repr, sorted(known)))}"
            )
        try:
            masks.append(Mask(name, float(value) if given else None))
        except ValueError:
            raise BatchError(f"--mask-input {text}: {value!r} is not a number", f"for example {name}=0") from None
    return masks
