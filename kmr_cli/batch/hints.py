"""What a user may want to know about the data and the model before trusting what a check says about them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from kmr_cli.batch.likely_masks import likely_masks
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
        verb, they = ("is", "it runs") if len(info.trains) == 1 else ("are", "they run")
        if info.training_stays:
            yield f"{layers} {verb} set to training mode in the model itself, so {they} in that mode here too"
        else:
            yield (
                f"{layers} {verb} saved in training mode, which is off here: turn it off when serving too, or check"
                " the model with --training"
            )
    for likely in likely_masks(info, batch) if not masked else ():
        option = f"--mask-input {likely.option}"
        if likely.what == "mask":
            yield f"input {likely.name!r} looks like a mask: {option} checks what it hides"
        elif likely.what == "lengths":
            unless = "" if likely.seen else ", if 0 stands for padding there"
            yield (
                f"input {likely.name!r} seems to hold how long each sample of {likely.of!r} is: {option} checks that"
                f" what follows changes nothing{unless}"
            )
        elif likely.what == "padding":
            yield f"input {likely.name!r} seems to be padded with {likely.value:g}: check it with {option}"
        else:
            yield f"input {likely.name!r} takes any number of steps: if 0 is padding, check it with {option}"
