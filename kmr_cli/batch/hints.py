"""What a user may want to know about the data and the model before trusting what a check says about them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from kmr_cli.records import Batch, ModelInfo


def hints(info: ModelInfo, batch: Batch, masked: Collection[str]) -> Iterator[str]:
    """Lines worth showing as notices.

    Args:
        info: the model.
        batch: what it is checked on.
        masked: inputs that are known to be masks, or to hold padding.
    """
    if info.fixed_batch is not None:
        yield f"the model declares a batch of {info.fixed_batch}, so no other size is tried"
    for name, values in batch.items():
        if values.dtype.kind in "fc" and not np.isfinite(values).all():
            yield f"input {name!r} holds NaN or Inf, which may hide how samples affect each other"
    if info.trains:
        layers = ", ".join(map(repr, info.trains[:3])) + (", …" if len(info.trains) > 3 else "")
        verb = "is" if len(info.trains) == 1 else "are"
        yield (
            f"{layers} {verb} saved in training mode, which is off here: turn it off when serving too, or check the"
            " model with --training"
        )
    for name, value in likely_masks(info, batch) if not masked else ():
        if value is None:
            yield f"input {name!r} looks like a mask: --mask-input {name} checks what it hides"
        else:
            option = f"--mask-input {name}={value}"
            yield f"input {name!r} takes any number of steps: if {value} is padding, check it with {option}"


def likely_masks(info: ModelInfo, batch: Batch) -> Iterator[tuple[str, int | None]]:
    """Inputs that look like masks, and those whose steps may hold padding, though nothing in the file says so.

    Args:
        info: the model.
        batch: what it is checked on.

    Yields:
        The input's name, and the value that may stand for padding; None of a mask.
    """
    for name, values in batch.items():
        others = [other.shape for key, other in batch.items() if key != name]
        if values.ndim == 2 and values.dtype == bool and any(shape[:2] == values.shape for shape in others):
            yield name, None
    for spec in info.inputs if info.free_dims else ():
        steps = spec.shape is not None and len(spec.shape) == 2 and spec.shape[1] is None
        if steps and batch[spec.name].dtype.kind in "iu":
            yield spec.name, 0
