"""The other batch sizes that a check tries: as typed, as given in Python, or as a project says."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kmr_cli.errors import KmrError

LARGEST_BATCH = 65_536
"""A larger batch is a slip of the finger: no server forms one."""
_EXAMPLE = "write whole numbers, as in 1,8,32,64"


def parse_batch_sizes(text: str) -> tuple[int, ...]:
    """``1,8,32,64``, as typed: every size once, the smallest first.

    Raises:
        KmrError: anything else.
    """
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        raise KmrError(f"not a list of batch sizes: {text!r}", _EXAMPLE) from None
    return checked_sizes(sizes)


def checked_sizes(given: Iterable[object]) -> tuple[int, ...]:
    """Every size once, the smallest first.

    Raises:
        KmrError: one isn't a whole number, is below 1 or above :data:`LARGEST_BATCH`.
    """
    if isinstance(given, str):
        return parse_batch_sizes(given)
    sizes = set()
    for size in given if isinstance(given, Iterable) else (given,):
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)):
            raise KmrError(f"a batch size must be a whole number, not {size!r}", _EXAMPLE)
        if size < 1:
            raise KmrError(f"a batch size must be at least 1, not {size}", _EXAMPLE)
        if size > LARGEST_BATCH:
            raise KmrError(f"a batch size must be at most {LARGEST_BATCH}, not {size}", _EXAMPLE)
        sizes.add(int(size))
    return tuple(sorted(sizes))
