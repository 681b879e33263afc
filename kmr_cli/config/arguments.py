"""What is asked for in Python: refused in one line where its type or range is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kmr_cli.errors import BatchError, LayerError
from kmr_cli.records import LayerInfo


def layer_patterns(layer: str | Sequence[str]) -> tuple[str, ...]:
    """One pattern or several, as a tuple.

    Raises:
        LayerError: anything but text, or nothing.
    """
    patterns = tuple(layer) if isinstance(layer, Sequence) and not isinstance(layer, str) else (layer,)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise LayerError(f"a layer must be text, not {_shown(pattern)}", "give a path, or a list of paths")
    if not patterns:
        raise LayerError("no layer was named", "'*' stands for all of them")
    return patterns


def refuse_call(layers: Iterable[LayerInfo], paths: Iterable[str], call: int | None) -> None:
    """Refuse a call that none of the layers with these paths has.

    Raises:
        LayerError: that, or not a whole number from 0.
    """
    if call is None:
        return
    if not _is_whole(call):
        raise LayerError(f"a call must be a whole number, not {_shown(call)}", "calls count from 0")
    if call < 0:
        raise LayerError(f"a call must be 0 or more, not {call}", "calls count from 0")
    wanted = set(paths)
    infos = [layer for layer in layers if layer.path in wanted]
    if infos and all(layer.calls is not None and layer.calls <= call for layer in infos):
        most = max(layer.calls or 0 for layer in infos)
        times = "once" if most == 1 else f"{most} times"
        raise LayerError(f"layer {infos[0].path!r} runs {times}, so it has no call {call}", "calls count from 0")


def refuse_size_and_seed(size: int | None, seed: int) -> None:
    """Refuse a batch size or a seed that can't be one.

    Raises:
        BatchError: not a whole number, or too small.
    """
    if not _is_whole(seed):
        raise BatchError(f"a seed must be a whole number, not {_shown(seed)}", "give a whole number, 0 or more")
    if seed < 0:
        raise BatchError(f"a seed must be 0 or more, not {seed}", "give a whole number, 0 or more")
    if size is not None and not _is_whole(size):
        raise BatchError(f"a batch size must be a whole number, not {_shown(size)}", "give a whole number, at least 1")
    if size is not None and size < 1:
        raise BatchError(f"a batch size must be at least 1, not {size}", "give a whole number, at least 1")


def least_records(layers: Iterable[LayerInfo], paths: Iterable[str], sides: Sequence[str], call: int | None) -> int:
    """How many taps these layers have at least, as far as the file tells: at least one each."""
    wanted = set(paths)
    found = 0
    for layer in layers:
        if layer.path in wanted:
            ports = ("in" in sides) * len(layer.inputs) + ("out" in sides) * len(layer.outputs)
            found += max(ports, 1) * (1 if call is not None else layer.calls or 1)
    return max(found, 1)


def _shown(value: Any) -> str:
    return f"{value!r} ({type(value).__name__})"


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
