"""What was asked for in Python: refused in one line where its type or its range is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kmr_cli.errors import BatchError, LayerError
from kmr_cli.records import LayerInfo


def layer_patterns(layer: str | Sequence[str]) -> tuple[str, ...]:
    """One pattern or several, as a tuple.

    Raises:
        LayerError: something else than text, or nothing.
    """
    patterns = tuple(layer) if isinstance(layer, Sequence) and not isinstance(layer, str) else (layer,)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise LayerError(f"no layer {pattern!r}: a {type(pattern).__name__}", "give a path, or a list of paths")
    if not patterns:
        raise LayerError("no layer is named", "'*' is all of them")
    return patterns


def refuse_call(layers: Iterable[LayerInfo], paths: Iterable[str], call: int | None) -> None:
    """Refuse a call that none of the layers with these paths has.

    Raises:
        LayerError: that, or no number.
    """
    if call is None:
        return
    if not _is_whole(call):
        raise LayerError(f"no call {call!r}: a {type(call).__name__}", "give a whole number, counted from 0")
    if call < 0:
        raise LayerError(f"no call {call}", "calls count from 0")
    wanted = set(paths)
    infos = [layer for layer in layers if layer.path in wanted]
    if infos and all(layer.calls is not None and layer.calls <= call for layer in infos):
        most = max(layer.calls or 0 for layer in infos)
        times = "once" if most == 1 else f"{most} times"
        raise LayerError(f"layer {infos[0].path!r} runs {times}, so it has no call {call}", "calls count from 0")


def refuse_size_and_seed(size: int | None, seed: int) -> None:
    """Refuse a batch size or a seed that is none.

    Raises:
        BatchError: no whole number, or too small a one.
    """
    if not _is_whole(seed):
        raise BatchError(f"no seed {seed!r}: a {type(seed).__name__}", "a seed is a whole number, 0 or more")
    if seed < 0:
        raise BatchError(f"no seed {seed}", "a seed is 0 or more")
    if size is not None and not _is_whole(size):
        raise BatchError(f"no batch size {size!r}: a {type(size).__name__}", "give a whole number, at least 1")
    if size is not None and size < 1:
        raise BatchError(f"a batch of {size} samples", "give at least 1")


def least_records(layers: Iterable[LayerInfo], paths: Iterable[str], sides: Sequence[str], call: int | None) -> int:
    """How many taps these layers have at least, as far as the file tells: at least one each."""
    wanted = set(paths)
    found = 0
    for layer in layers:
        if layer.path in wanted:
            ports = ("in" in sides) * len(layer.inputs) + ("out" in sides) * len(layer.outputs)
            found += max(ports, 1) * (1 if call is not None else layer.calls or 1)
    return max(found, 1)


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
