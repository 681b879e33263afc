"""Samples that answer a question of the whole batch one way, alone or all of them: all zero, of one sign, short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from kmr_cli.arrays.digests import digest
from kmr_cli.arrays.masks import forbidding_value, two_valued
from kmr_cli.batch.contents import free_places, orders_steps, sorted_samples
from kmr_cli.batch.sparse import in_places
from kmr_cli.batch.stress import FAR_LARGER
from kmr_cli.config.names import tells_lengths_by_name
from kmr_cli.records import Batch, TensorSpec

Side: TypeAlias = Literal["zero", "negative", "positive", "short", "loud"]
SIDES: tuple[Side, ...] = ("positive", "negative", "zero", "short")
"""Of all inputs at once."""
_APART: tuple[tuple[Side, Side], ...] = (("positive", "negative"), ("loud", "zero"))
"""Of some inputs and of the others: a question may be put to two of them."""
_SPLITS = 2
"""Ways to part the inputs in two, at most: enough to tell any two of four apart."""
_LARGER: Mapping[Side, float] = {"positive": 4, "negative": 1000, "loud": FAR_LARGER}
"""So much larger they are: a sample that lies beyond the usual, a little or far, is treated otherwise, maybe."""
_HIGHEST = 16
"""Ids at the end of a vocabulary."""


@dataclass(frozen=True)
class Kind:
    """What a sample is, input by input.

    Attributes:
        name: to be put behind "all samples".
        sides: of every input.
    """

    name: str
    sides: Mapping[str, Side]


def kinds(batch: Batch, specs: Sequence[TensorSpec]) -> Iterator[Kind]:
    """The kinds of sample that differ from those of the batch, and from each other.

    Every input of one side; then, of several inputs, some of one side and the others of its opposite, both ways round.
    """
    names = [spec.name for spec in specs]
    found = [Kind(side, dict.fromkeys(names, side)) for side in SIDES]
    split: list[Kind] = []
    for one, other in _APART:
        apart = [name for name in names if _differ(batch, specs, name, one, other)]
        for bit in range(min(_SPLITS, max(len(apart) - 1, 0).bit_length())):
            first = [name for number, name in enumerate(apart) if not number >> bit & 1]
            rest = [name for name in apart if name not in first]
            split += [_apart(names, *pair, one, other) for pair in ((first, rest), (rest, first))]
    seen = {_digests(batch)}
    for kind in found + split:
        made = _digests(of_kind(batch, range(_rows(batch)), specs, kind))
        if made not in seen:
            seen.add(made)
            yield kind


def _digests(batch: Batch) -> tuple[bytes, ...]:
    return tuple(digest(np.asarray(values)) for values in batch.values())


def _apart(names: Sequence[str], first: Sequence[str], rest: Sequence[str], one: Side, other: Side) -> Kind:
    listed = " and ".join(map(repr, first[:2])) + (", …" if len(first) > 2 else "")
    sides = {name: one if name in first else other for name in names}
    return Kind(f"{one} in {listed} and {other} in {'the rest' if len(rest) > 1 else repr(rest[0])}", sides)


def _differ(batch: Batch, specs: Sequence[TensorSpec], name: str, one: Side, other: Side) -> bool:
    made = [one_sided({name: batch[name]}, range(_rows(batch)), specs, side) for side in (one, other)]
    return _digests(made[0]) != _digests(made[1])


def _rows(batch: Batch) -> int:
    return len(next(iter(batch.values())))


def of_kind(batch: Batch, rows: Sequence[int], specs: Sequence[TensorSpec], kind: Kind) -> dict[str, np.ndarray]:
    """A copy of ``batch`` in which ``rows`` are of a kind, as :func:`one_sided` makes them."""
    return {
        name: one_sided({name: values}, rows, specs, kind.sides[name])[name] if name in kind.sides else values
        for name, values in batch.items()
    }


def one_sided(batch: Batch, rows: Sequence[int], specs: Sequence[TensorSpec], side: Side) -> dict[str, np.ndarray]:
    """A copy of ``batch`` in which ``rows`` are all of one kind.

    They hold nothing but zero; nothing that is not below zero, or not above it; very large numbers of both signs; or
    zero in the second half of their steps. Masks and flags are 0, or 1 for what is above zero or loud; ids and pixels
    0, or as high as they may be. Lengths, positions and what else a model may rightly refuse to be 0 stand as they are.
    """
    known = {spec.name: spec for spec in specs}
    result, chosen = {}, list(rows)
    for name, given in batch.items():
        values = np.array(given, copy=True)
        if name in known and values.size:
            new = _turned(values, chosen, known[name], "zero" if side == "short" else side)
            if side == "short":
                new = _second_half(values[chosen], new, known[name])
            values[chosen] = new
        result[name] = values
    return in_places(batch, result, specs)


def _turned(values: np.ndarray, rows: list[int], spec: TensorSpec, side: Side) -> np.ndarray:
    old = values[rows]
    if values.dtype.kind == "b" or (values.ndim > 1 and two_valued(values)):
        return old if side == "negative" else np.full_like(old, side != "zero")
    free = free_places(values, spec)
    if free is not None:
        return np.where(free, _floats(values, old, side), old)
    if side == "negative" or values.dtype.kind not in "iu" or not _may_be_zero(values, spec):
        return old
    if side == "zero":
        return np.zeros_like(old)
    highest = _highest(values, spec)
    below = np.arange(old.size).reshape(old.shape) % min(_HIGHEST, max(1, highest // 2))
    result: np.ndarray = (highest - below).astype(old.dtype)
    return result


def _second_half(old: np.ndarray, zero: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """What has steps: sequences of features, of ids and of flags."""
    steps = old.ndim == 3 or (old.ndim == 2 and (old.dtype.kind in "biu" or two_valued(old) or spec.counts))
    if not steps or old.shape[1] < 2:
        return old
    result = np.array(old, copy=True)
    half = (old.shape[1] + 1) // 2
    result[:, half:] = zero[:, half:]
    return result


def _floats(values: np.ndarray, old: np.ndarray, side: Side) -> np.ndarray:
    if side == "zero":
        return np.zeros_like(old)
    wide = values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)
    sizes = np.abs(wide)
    largest = float(sizes[np.isfinite(sizes)].max(initial=0)) or 1.0
    there = np.abs(old.astype(wide.dtype))
    there = np.where(there > 0, there, largest / 16)  # zero has no sign
    there *= _LARGER[side]
    up = np.arange(there.size).reshape(there.shape) % 2 == 0 if side == "loud" else np.asarray(side == "positive")
    signed = np.where(up, there, -there)
    with np.errstate(over="ignore"):
        result: np.ndarray = np.where(np.isfinite(there), signed, old).astype(values.dtype)
    return result


def _may_be_zero(values: np.ndarray, spec: TensorSpec) -> bool:
    """Ids and pixels may; how long a sample is, or where its steps stand, may not."""
    known = spec.limit is not None and "limit" not in spec.presumed
    if tells_lengths_by_name(spec.name) or (values.size == len(values) and not known):
        return False
    return forbidding_value(values) is None and not orders_steps(values) and not sorted_samples(values)


def _highest(values: np.ndarray, spec: TensorSpec) -> int:
    """The largest number that an input of integers may hold, as far as that is known."""
    if spec.limit is not None and "limit" not in spec.presumed:
        return max(spec.limit - 1, 0)
    narrow = values.dtype.itemsize == 1
    return int(np.iinfo(values.dtype).max) if narrow else int(max(values.max(), 1))
