"""One forward pass as a stream of taps, the model's own outputs included."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from kmr_cli.evidence.reach import SINGLY as SINGLY
from kmr_cli.formats.interface import Session, Taps
from kmr_cli.records import Batch
from kmr_cli.records import Tap as Tap


def output_title(port: str, names: Mapping[str, str]) -> str:
    """An output as people know it: ``output 'scores' (out0)``, or ``output out0`` where the model names none."""
    name = names.get(port, port)
    return f"output {port}" if name == port else f"output {name!r} ({port})"


def watch(
    session: Session, batch: Batch, taps: Taps, sink: Callable[[str, int, str, np.ndarray], None]
) -> dict[str, np.ndarray]:
    """One pass; the model's outputs go to ``sink`` too, after all taps, as ports of the layer ``""``."""
    outputs = session.capture(batch, taps, sink)
    assert outputs is not None
    for number, array in enumerate(outputs.values()):
        sink("", 0, f"out{number}", array)
    return dict(outputs)
