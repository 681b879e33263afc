"""Data that is hard on a model: what some dependences need before they show. Stated samples are left alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kmr_cli.arrays.sparsity import present
from kmr_cli.arrays.ulp import unit_at
from kmr_cli.batch.contents import free_places
from kmr_cli.batch.sparse import in_places
from kmr_cli.records import Batch, TensorSpec

LARGER = 10.0
FAR_LARGER = 1e5
"""Beside such samples one is silent: a floor eight decades of power below the loudest rises above it."""

FAINT = 5e-4
"""Below what is commonly taken for silence (1e-3), and above what a sum of usual numbers is rounded by."""


def _free(batch: Batch, specs: Sequence[TensorSpec]) -> dict[str, np.ndarray]:
    """Inputs that hold quantities, of which any float is valid -> where; ids, counts and lengths are left alone."""
    places = {spec.name: free_places(batch[spec.name], spec) for spec in specs if spec.name in batch}
    return {name: free for name, free in places.items() if free is not None}


def extreme(
    batch: Batch,
    kept: Sequence[int],
    specs: Sequence[TensorSpec],
    rng: np.random.Generator,
    scale: float = LARGER,
) -> dict[str, np.ndarray] | None:
    """All samples but ``kept`` ``scale`` times as large, with both signs; None where no input is a free float.

    A maximum, a threshold or a branch over the whole batch reacts only to an extreme neighbour.
    """
    result, touched = {}, False
    free = _free(batch, specs)
    for name, values in batch.items():
        values = np.array(values, copy=True)
        if name in free:
            others = [row for row in range(len(values)) if row not in kept]
            wide = values[others].astype(np.complex128 if values.dtype.kind == "c" else np.float64)
            large = np.abs(wide)
            large[~np.isfinite(large)] = 0  # one NaN in the user's data would make all of it NaN
            large += max(float(large.max(initial=0)), 1.0) / LARGER
            with np.errstate(over="ignore"):
                large *= scale
                large *= 2 * rng.integers(0, 2, large.shape, np.int8) - 1
                values[others] = np.where(free[name], large.astype(values.dtype), values[others])
            touched = True
        result[name] = values
    return in_places(batch, result, specs) if touched else None


def silent(batch: Batch, rows: Sequence[int], specs: Sequence[TensorSpec]) -> dict[str, np.ndarray]:
    """``rows`` all zero: a question of the whole batch (is any sample empty?) is answered otherwise only by such."""
    free = _free(batch, specs)
    result = {name: np.array(values, copy=True) for name, values in batch.items()}
    for name, places in free.items():
        result[name][rows] = np.where(places, np.zeros_like(result[name][rows]), result[name][rows])
    return in_places(batch, result, specs)


def faint(batch: Batch, rows: Sequence[int], specs: Sequence[TensorSpec]) -> dict[str, np.ndarray]:
    """``rows`` so small that a model may take them for silence, though not zero: no value above :data:`FAINT`."""
    result = {name: np.array(values, copy=True) for name, values in batch.items()}
    for name, places in _free(batch, specs).items():
        values = result[name][rows]
        wide = values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)
        sizes = np.abs(wide)
        loudest = float(sizes[np.isfinite(sizes)].max(initial=0))
        if loudest > 0:
            result[name][rows] = np.where(places, (wide * (FAINT / max(loudest, 1.0))).astype(values.dtype), values)
    return in_places(batch, result, specs)


def shaken(batch: Batch, specs: Sequence[TensorSpec], rng: np.random.Generator) -> dict[str, np.ndarray] | None:
    """Every free float one unit in the last place up or down; None where no input is one.

    Not stress, but a way to see how much of a difference the model itself makes, by amplifying rounding.
    """
    result, touched = {}, False
    free = _free(batch, specs)
    for name, values in batch.items():
        if name in free:
            parts = [values.real, values.imag] if values.dtype.kind == "c" else [values]
            moved = [_one_off(part, rng) for part in parts]
            shaken_ = (moved[0] + 1j * moved[1]).astype(values.dtype) if len(moved) > 1 else moved[0]
            values = np.where(free[name], shaken_, values)
            touched = True
        result[name] = values
    return in_places(batch, result, specs) if touched else None


def _one_off(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if values.dtype.kind != "f":  # bfloat16 and float8 have no nextafter
        unit = unit_at(1.0, values.dtype)
        return np.asarray(values.astype(np.float64) * (1 + rng.choice([-unit, unit], values.shape))).astype(
            values.dtype
        )
    ends = np.where(rng.random(values.shape) < 0.5, -np.inf, np.inf).astype(values.dtype)
    found: np.ndarray = np.where(np.isfinite(values), np.nextafter(values, ends), values)
    return found


def mirrored(batch: Batch, kept: Sequence[int], specs: Sequence[TensorSpec]) -> dict[str, np.ndarray]:
    """All samples but ``kept`` with the opposite sign: of an extreme batch, extreme on the other side."""
    result = {}
    free = _free(batch, specs)
    for name, values in batch.items():
        values = np.array(values, copy=True)
        if name in free:
            others = [row for row in range(len(values)) if row not in kept]
            values[others] = np.where(free[name], -values[others], values[others])
        result[name] = values
    return in_places(batch, result, specs)


def alike(batch: Batch, kept: int) -> dict[str, np.ndarray]:
    """Every sample a copy of ``kept``: all want the same expert, the same place among the top k, and it is full."""
    return {name: np.repeat(np.asarray(values)[[kept]], len(values), axis=0) for name, values in batch.items()}


def copies_of(batch: Batch, sample: int, kept: int) -> dict[str, np.ndarray]:
    """All samples but ``kept`` copies of ``sample``."""
    result = alike(batch, sample)
    for name, values in result.items():
        values[kept] = np.asarray(batch[name])[kept]
    return result


def larger(
    batch: Batch, kept: Sequence[int], specs: Sequence[TensorSpec], scale: float = 100.0
) -> dict[str, np.ndarray] | None:
    """All samples but ``kept`` ``scale`` times as large, signs as they are; None where no input is a free float."""
    free = _free(batch, specs)
    if not free:
        return None
    result = {}
    for name, given in batch.items():
        values = np.array(given, copy=True)
        if name in free:
            others = [row for row in range(len(values)) if row not in kept]
            with np.errstate(over="ignore"):
                values[others] = np.where(free[name], (values[others] * scale).astype(values.dtype), values[others])
        result[name] = values
    return in_places(batch, result, specs)


def monotonous(batch: Batch, kept: int, other: int, step: int) -> dict[str, np.ndarray]:
    """All samples but ``kept`` nothing but one step of ``other``: all of it wants one expert, and none the rest.

    What has no steps (a vector of floats, a number) is that of ``other`` as it is.

    Args:
        batch: input name -> array, samples along axis 0.
        kept: the sample that stands as it is.
        other: the sample that the others are made of.
        step: which of its steps, counted round.
    """
    result = {}
    for name, given in batch.items():
        values = np.array(given, copy=True)
        row = values[other]
        if values.ndim > 2 or (values.ndim == 2 and values.dtype.kind in "iuO"):
            row = np.broadcast_to(row[step % len(row)], row.shape) if len(row) else row
        for place in range(len(values)):
            if place != kept:
                values[place] = row
        result[name] = values
    return result


def partly_missing(
    batch: Batch,
    samples: Sequence[int],
    specs: Sequence[TensorSpec],
    rng: np.random.Generator,
    value: float = np.nan,
) -> dict[str, np.ndarray] | None:
    """A quarter of what each of ``samples`` holds is NaN, at least one number; None without a free float input.

    What is missing may be filled from the other samples: with their mean, or with the value of the nearest.
    """
    result, touched = {}, False
    free = _free(batch, specs)
    sparse = {spec.name for spec in specs if spec.sparse}
    for name, values in batch.items():
        values = np.array(values, copy=True)
        if name in free:
            may = np.broadcast_to(free[name], values.shape[1:])
            for sample in samples:
                places = np.flatnonzero(may & present(values[sample]) if name in sparse else may)
                missing = rng.choice(places, min(max(1, len(places) // 4), len(places)), replace=False)
                row = np.array(values[sample]).reshape(-1)
                row[missing] = value
                values[sample] = row.reshape(values.shape[1:])
            touched = True
        result[name] = values
    return in_places(batch, result, specs) if touched else None


def poisoned(
    batch: Batch, samples: Sequence[int], specs: Sequence[TensorSpec], value: float = np.nan
) -> dict[str, np.ndarray] | None:
    """``samples`` all NaN, or Inf; None without a free float input. What is multiplied by zero carries it on."""
    result, touched = {}, False
    free = _free(batch, specs)
    for name, values in batch.items():
        values = np.array(values, copy=True)
        if name in free:
            values[list(samples)] = np.where(free[name], np.asarray(value, values.dtype), values[list(samples)])
            touched = True
        result[name] = values
    return in_places(batch, result, specs) if touched else None


def mix_signs(batch: dict[str, np.ndarray], sample: int) -> None:
    """Change the sign of every second Inf that ``sample`` holds, in place."""
    for values in batch.values():
        if values.dtype.kind in "fcV":
            row = np.array(values[sample]).reshape(-1)
            places = np.flatnonzero(np.isinf(row))[1::2]
            row[places] = -row[places]
            values[sample] = row.reshape(values.shape[1:])
