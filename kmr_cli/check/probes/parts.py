"""What belongs to a few samples in passes that the unchanged batch has no part in, and how such passes differ there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

import numpy as np

from kmr_cli.arrays.digests import digest
from kmr_cli.arrays.ulp import FAR, largest, scaled_distance
from kmr_cli.check.quiet import is_quiet, part_of
from kmr_cli.check.run import Run
from kmr_cli.evidence.taps import Tap, watch
from kmr_cli.records import Batch

Parts: TypeAlias = "dict[tuple[Tap, int], np.ndarray | bytes]"
"""(tap, sample) -> what is the sample's there: of outputs the values, inside a digest; one NaN equals another."""


def parts_of(run: Run, doing: str, data: Batch, samples: Collection[int], before: Parts) -> Parts:
    """What belongs to ``samples`` in one pass of ``data``, at the taps of which another pass has told ``before``.

    Raises:
        ModelRunError: the model does not run on it.
    """
    parts: Parts = {}
    told = {tap for tap, _ in before}

    def look(layer: str, call: int, port: str, array: np.ndarray) -> None:
        if (tap := (layer, call, port)) in told:
            add_parts(run, tap, array, samples, parts)

    run.step(doing)
    watch(run.session, data, run.taps, look)
    return parts


def add_parts(run: Run, tap: Tap, array: np.ndarray, samples: Collection[int], parts: Parts) -> None:
    """Add those of one tap, as far as it is known whose is what there, and it has the shape that it had."""
    spec = run.evidence.specs.get(tap)
    if tap not in run.indices or spec is None or spec.shape != array.shape:
        return
    index, quiet = run.whose(tap), is_quiet(run, tap)
    if not quiet and (index is None or index.axis is None):
        return
    for sample in samples:
        if index is None or index.axis is None:
            part = part_of(run, array, sample)
        else:
            part = np.take(array, [place for place, owner in enumerate(index.owners) if owner == sample], index.axis)
        if part.dtype.kind in "fc" and (missing := np.isnan(part)).any():
            part = np.where(missing, np.asarray(np.nan, part.dtype), part)
        parts[tap, sample] = digest(part) if tap[0] else np.array(part)


def moved_parts(run: Run, before: Mapping[tuple[Tap, int], np.ndarray | bytes], after: Parts) -> dict[Tap, int]:
    """Tap -> how far parts that both passes have differ, as :meth:`Evidence.kept` tells it."""
    found: dict[Tap, int] = {}
    for (tap, sample), part in before.items():
        other = after.get((tap, sample), part)
        distance = 0
        if isinstance(part, np.ndarray) and isinstance(other, np.ndarray) and part.shape == other.shape:
            distance = int(scaled_distance(part, other, largest(run.evidence.base[tap])).max(initial=0))
        elif not isinstance(part, np.ndarray) and part != other:
            distance = FAR
        found[tap] = max(distance, found.get(tap, 0))
    shown = any(distance and not tap[0] for tap, distance in found.items())
    return {tap: distance for tap, distance in found.items() if distance and (shown or not is_quiet(run, tap))}
