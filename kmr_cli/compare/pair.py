"""Two taps that correspond."""

from __future__ import annotations

from dataclasses import dataclass

from kmr_cli.compare.difference import TapDifference
from kmr_cli.records import TapSketch


@dataclass(frozen=True)
class Pair:
    """Two taps that correspond, and how their contents differ."""

    model: TapSketch
    baseline: TapSketch
    content: TapDifference
