"""One operator by itself: do its rows stay apart, whatever they hold? Pure NumPy around what runs it.

The argument is that of :mod:`kmr_cli.evidence.owners`, on operands that are drawn at random, which no dead unit further
up can hide. What it shows is no proof: it is what was seen in so many trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.arrays.dtypes import discrete
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.owners import NOBODY
from kmr_cli.formats.common.alone import Alone
from kmr_cli.records import ProbeOutcome

TRIALS, _OF_LARGE, _LARGE = 24, 6, 1 << 22
"""How many there are; and of operands with more elements than the last."""
_FAR = 100.0


@dataclass(frozen=True)
class Rows:
    """Which sample each slice of an operand belongs to.

    Attributes:
        axis: that carries the samples.
        owners: of every slice along it.
    """

    axis: int
    owners: np.ndarray


@dataclass(frozen=True)
class Trials:
    """What came of them.

    Attributes:
        outcome: see :class:`kmr_cli.records.ProbedOperator`.
        count: how many ran.
    """

    outcome: ProbeOutcome
    count: int


def try_alone(alone: Alone, rows: Mapping[str, Rows], size: int, rng: np.random.Generator) -> Trials:
    """Run an operator on random operands, with one sample's part replaced, and with all but one's.

    Args:
        alone: the operator.
        rows: of every operand that holds samples.
        size: number of samples, at least two.
        rng: what operands are drawn with.
    """
    elements = sum(value.size for value in alone.operands.values())
    order, whose, moved, ran = rng.permutation(size), list[np.ndarray](), False, 0
    for number in range(TRIALS if elements <= _LARGE else _OF_LARGE):
        one, before = int(order[number % size]), int(order[(number - 1) % size])
        given = {name: _given(value, number, name in rows, rng) for name, value in alone.operands.items()}
        try:
            made = alone.run(given)
            again = alone.run(given) if not ran else made
            with_one = alone.run(_replaced(given, rows, [one], number, rng))
            others = [sample for sample in range(size) if sample != before]
            without = alone.run(_replaced(given, rows, others, number, rng))
        except ModelRunError:
            continue
        ran += 1
        whose = whose or [np.full(array.shape, NOBODY) for array in made]
        if not all(_shapes(whose) == _shapes(other) for other in (made, again, with_one, without)):
            return Trials("shape", ran)
        for owned, expected, second, single, rest in zip(whose, made, again, with_one, without, strict=True):
            if changed(expected, second).any():
                return Trials("chance", ran)
            here = changed(expected, single)
            kept = changed(expected, rest) & (owned == before)
            if (here & (owned != NOBODY) & (owned != one)).any() or kept.any():
                return Trials("met", ran)
            owned[here] = one
            moved = moved or bool(here.any())
    return Trials("failed" if not ran else "apart" if moved else "still", ran)


def _shapes(arrays: Sequence[np.ndarray]) -> list[tuple[int, ...]]:
    return [array.shape for array in arrays]


def _given(value: np.ndarray, number: int, of_samples: bool, rng: np.random.Generator) -> np.ndarray:
    """An operand of a trial: every second time what holds no samples is what it was in the model."""
    kept = not number or (not of_samples and (number % 2 == 0 or discrete(value) or not value.ndim))
    return value if kept else _drawn(value, number, rng)


def _replaced(
    given: Mapping[str, np.ndarray],
    rows: Mapping[str, Rows],
    samples: Sequence[int],
    number: int,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """The same operands with other values in some samples, every kind of values among every kind in turn."""
    made, number = dict(given), number + number // 4 + 2
    for name, where in rows.items():
        other = _drawn(given[name], number, rng)
        chosen = np.isin(where.owners, samples).reshape([-1 if axis == where.axis else 1 for axis in range(other.ndim)])
        made[name] = np.where(chosen, other, given[name]).astype(other.dtype, copy=False)
    return made


def _drawn(value: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """Values for others: floats near zero, far off or positive, in turn; of other kinds, such as those hold."""
    if value.dtype == bool:
        return rng.random(value.shape) < 0.5
    if value.dtype.kind in "iu":
        low, high = (int(value.min()), int(value.max())) if value.size else (0, 0)
        return rng.integers(low, high, value.shape, endpoint=True).astype(value.dtype)
    if discrete(value):
        return rng.choice(value.reshape(-1), value.shape) if value.size else value
    drawn = rng.standard_normal(value.shape)
    if number % 4 == 2:
        drawn = drawn * _FAR
    if number % 4 == 3:
        drawn = np.abs(drawn)
    if value.dtype.kind == "c":
        return (drawn + 1j * rng.standard_normal(value.shape)).astype(value.dtype)
    return drawn.astype(value.dtype)
