"""The projection of snapshots of version 1, for comparisons with those that were kept.

As :mod:`kmr_cli.snapshot.sketch`, with signs alone for multipliers: of two elements that share bucket and sign (one
pair in sixteen, or so) the sketch does not tell whether they were swapped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kmr_cli.records import Snapshot
from kmr_cli.snapshot.sketch import WIDTH, codes, finite_part, sum_up

_DIGITS = {2: 5, 4: 7, 8: 9}


def project(value: np.ndarray) -> tuple[float, ...]:
    """What version 1 kept of an array of any shape: at most WIDTH numbers; nothing of text."""
    if value.dtype.kind in "OSU":
        return ()
    flat, _ = finite_part(value)
    return _project(flat, _digits(value.dtype.name))


def _project(flat: np.ndarray, digits: int) -> tuple[float, ...]:
    if flat.size <= WIDTH:
        numbers = flat.astype(np.float64)
    else:
        multipliers, buckets = codes(flat.size)
        with np.errstate(over="ignore", invalid="ignore"):
            numbers = sum_up(flat * np.sign(multipliers[: flat.size]), buckets)
    return tuple(float(f"{number:.{digits}g}") for number in np.nan_to_num(numbers).tolist())


def resolution(projection: Sequence[float], dtype: str, count: int) -> float:
    """The largest estimate that comes from nothing but the rounding of the projected numbers."""
    return 10.0 ** (1 - _digits(dtype)) * math.hypot(*projection) / math.sqrt(max(count, 1))


def as_version_1(snapshot: Snapshot) -> Snapshot:
    """A snapshot that was taken with ``v1`` projections, as version 1 would have kept it."""
    taps = tuple(
        replace(
            tap,
            samples=tuple(replace(sample, projection=sample.v1 or (), v1=None, places="") for sample in tap.samples),
        )
        for tap in snapshot.taps
    )
    inputs = tuple(replace(spec, declared=None) for spec in snapshot.inputs)
    return replace(snapshot, taps=taps, inputs=inputs, schema=1)


def _digits(dtype: str) -> int:
    if dtype == "string":
        return 12
    kind = np.dtype(dtype)
    if kind.kind == "c":
        return _DIGITS[kind.itemsize // 2]
    return _DIGITS.get(kind.itemsize, 5) if kind.kind in "fV" else 12
