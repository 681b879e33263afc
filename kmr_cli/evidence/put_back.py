"""Rows in an order that the samples' content decides: the last layer that put them in another one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from kmr_cli.arrays.digests import digest
from kmr_cli.arrays.dtypes import discrete
from kmr_cli.evidence.sources import Source
from kmr_cli.evidence.taps import Tap


def last_permutation(
    order: Iterable[Tap], values: Mapping[Tap, np.ndarray], size: int, separator: str
) -> Source | None:
    """Where rows that were seen before come in an order that was not; the last such place, None where there is none.

    Args:
        order: taps in the order in which they ran, the one that is wrong last.
        values: of the unchanged batch, as far as they are kept.
        size: number of samples.
        separator: of the parts of a layer's path.
    """
    seen: dict[frozenset[bytes], set[tuple[bytes, ...]]] = {}
    last: Tap | None = None
    for tap in order:
        value = values.get(tap)
        if value is None or discrete(value) or value.size < 2 * size:
            continue
        for axis in (axis for axis, length in enumerate(value.shape) if length == size):
            rows = tuple(digest(row.reshape(-1)) for row in np.moveaxis(value, axis, 0))
            known = seen.setdefault(frozenset(rows), set())
            if len(set(rows)) == size:
                if axis == 0 and known and rows not in known:
                    last = tap
                known.add(rows)
    if last is None:
        return None
    layer, call, port = last
    if layer and port.startswith("in"):
        return Source(layer.rpartition(separator)[0], 0, port, before=layer)
    return Source(layer, call, port)
