"""How batches, shapes and dtypes are named in messages."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from kmr_cli.records import Shape


@functools.lru_cache(maxsize=64)  # NumPy works the name out anew each time
def dtype_name(dtype: np.dtype[np.generic]) -> str:
    """NumPy's name, ``string`` for text."""
    return "string" if dtype.hasobject else dtype.name


def count_samples(number: int) -> str:
    """``1 sample``, ``4 samples``."""
    return f"{number} sample{'' if number == 1 else 's'}"


def name_samples(samples: Sequence[int]) -> str:
    """``sample 1``, ``samples 1, 4``."""
    return f"sample{'s' if len(samples) > 1 else ''} {', '.join(map(str, samples))}"


def show_shape(shape: Shape | None, symbols: Sequence[str] = ()) -> str:
    """``(batch, 8, 8, 1)`` for ``(None, 8, 8, 1)``: the way shapes appear in messages and tables.

    Args:
        shape: dimensions from the outside in.
        symbols: how the file writes them, where it says more than that they are free: ``4*batch``.
    """
    if shape is None:
        return "?"
    words = list(symbols) or ["?" if size is None else str(size) for size in shape]
    if shape and shape[0] is None and not symbols:
        words[0] = "batch"
    return f"({', '.join(words)}{',' if len(words) == 1 else ''})"


def listed(names: Iterable[str]) -> str:
    """Quoted, with commas between them."""
    return ", ".join(repr(name) for name in names)
