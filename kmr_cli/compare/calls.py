"""The calls of a run, and which of them correspond to those of another."""

from __future__ import annotations

from typing import TypeAlias

from kmr_cli.records import TapSketch

Call: TypeAlias = "tuple[str, int]"
"""(layer, call)"""
Calls: TypeAlias = "dict[Call, list[TapSketch]]"
"""Call -> its taps, in the order in which they ran."""
Match: TypeAlias = "dict[Call, Call]"
"""Call of the model -> the corresponding call of the baseline."""
