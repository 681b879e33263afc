"""Which of a model's inputs a call of a layer is about: a shared layer runs once for each, and numbers tell little."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.batch import replacement
from kmr_cli.batch.given import batch_size
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.observed import Progress
from kmr_cli.evidence.taps import Tap
from kmr_cli.formats.interface import Session, Taps
from kmr_cli.records import Batch

Call = tuple[str, int]
"""(layer, call)."""


def inputs_of_calls(
    session: Session,
    batch: Batch,
    taps: Taps,
    base: Mapping[Tap, np.ndarray],
    *,
    seed: int,
    spare: Batch | None,
    progress: Progress,
) -> dict[Call, tuple[str, ...]]:
    """Of layers that run several times: the model's inputs that what enters each call depends on.

    One pass for every input, which holds other data in all samples while the others stand as they are; none where the
    model has a single input, or no layer runs twice. A call that depends on all inputs is left out.

    Args:
        session: the loaded model.
        batch: the inputs.
        taps: what was observed.
        base: what the batch gave, what enters the layers included.
        seed: of the replacement data.
        spare: further rows of the same inputs, preferred as replacement data.
        progress: told before every pass.
    """
    names = [spec.name for spec in session.inputs]
    several = {layer.path for layer in session.layers if layer.calls != 1} | {layer for layer, call, _ in base if call}
    layers = tuple(dict.fromkeys(layer for layer, _, port in base if layer in several and port.startswith("in")))
    if len(names) < 2 or not layers:
        return {}
    others = replacement.replace(
        batch, range(batch_size(batch)), session.inputs, np.random.default_rng([seed, 3]), spare
    )  # fmt: skip
    found: dict[Call, list[str]] = {}
    for name in names:

        def look(layer: str, call: int, port: str, array: np.ndarray, name: str = name) -> None:
            before = base.get((layer, call, port))
            if before is None or before.shape != array.shape or changed(before, array).any():
                found.setdefault((layer, call), []).append(name)

        progress(f"replacing input {name!r}")
        try:
            session.capture({**batch, name: others[name]}, Taps(layers, taps.calls, ("in",)), look, stop=True)
        except ModelRunError:  # the inputs belong together
            return {}
    distinct = {call: tuple(dict.fromkeys(reaching)) for call, reaching in found.items()}
    return {call: reaching for call, reaching in distinct.items() if len(reaching) < len(names)}
