"""The same samples in batches of other sizes: does each come out as before?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from kmr_cli.batch import batch_size
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence import Tap, discrete
from kmr_cli.formats import Session, Taps
from kmr_cli.records import Batch, BatchIndex

_COINCIDENT = 4
_LARGEST = 64
_TOLERANCE = {8: 1e-9, 4: 2e-4, 2: 4e-2, 1: 0.5}
"""By bytes per number: how far a sample may be off, relative to the tensor's largest value. Kernels that regroup a sum
at another batch size stay 100 times below; a value of another sample is far above."""


@dataclass(frozen=True)
class SizeRun:
    """What a batch of another size showed; at most one of the problems is set.

    Attributes:
        size: number of samples.
        error: the model failed: its message; ``layer`` where it is known.
        wrong_count: (output, message): another number of samples came out.
        differs: (output, message): a sample came out differently, beyond last bits.
        ulp: largest difference, in units in the last place of the tensor's largest value; 0 where all is bitwise equal.
        at: the output with that difference.
    """

    size: int
    error: str | None = None
    layer: str | None = None
    wrong_count: tuple[str, str] | None = None
    differs: tuple[str, str] | None = None
    ulp: int = 0
    at: str | None = None


def sizes_to_try(size: int, base: Mapping[Tap, np.ndarray]) -> list[tuple[int, bool]]:
    """(size, whether it equals another dimension): 1, 2, 3, a prime that no dimension has, up to four that some have.

    Dimensions of outputs come first: that is where a batch axis is mistaken for another one.
    """
    inside: Counter[int] = Counter()
    outside: Counter[int] = Counter()
    for (layer, _, _), value in base.items():
        for length in value.shape[1:]:
            if 1 < length <= _LARGEST:
                (inside if layer else outside)[length] += 1
    lengths = [length for length, _ in outside.most_common()] + [length for length, _ in inside.most_common()]
    prime = next(number for number in _primes() if number != size and number not in inside and number not in outside)
    plain = [number for number in (1, 2, 3, prime) if number != size]
    coincident = [number for number in dict.fromkeys(lengths) if number != size and number not in plain]
    taken = [(number, number in lengths) for number in plain]
    return taken + [(number, True) for number in coincident[:_COINCIDENT]]


def try_size(
    session: Session, batch: Batch, size: int, outputs: Mapping[Tap, tuple[np.ndarray, BatchIndex]]
) -> SizeRun:
    """Run the first ``size`` samples (the batch again from its start where it is too short) and compare them.

    Args:
        session: the loaded model.
        batch: the batch whose results are known.
        size: number of samples.
        outputs: output tap -> its value for the whole batch, and its batch index.
    """
    whole = batch_size(batch)
    rows = np.arange(size) % whole
    try:
        found = session.capture({name: values[rows] for name, values in batch.items()}, Taps(()), None)
    except ModelRunError as exc:
        return SizeRun(size, error=exc.message)
    assert found is not None
    worst, at = 0, None
    for tap, (before, index) in outputs.items():
        name, after = tap[2], list(found.values())[int(tap[2].removeprefix("out"))]
        places = _places(index, before, whole, size)
        if places is None:
            continue
        if index.axis is None or after.ndim != before.ndim or after.shape[index.axis] != len(places):
            message = f"{size} samples went in and output {name} has shape {after.shape}, not {size} samples"
            return SizeRun(size, wrong_count=(name, message))
        expected = np.take(before, places, axis=index.axis)
        if expected.shape != after.shape:
            message = f"output {name} has shape {after.shape} where {expected.shape} was expected"
            return SizeRun(size, wrong_count=(name, message))
        off = _distance(expected, after)
        if off is None:
            return SizeRun(size, differs=(name, f"output {name} of the same samples differs beyond rounding"))
        if off > worst:
            worst, at = off, name
    return SizeRun(size, ulp=worst, at=at)


def _places(index: BatchIndex, value: np.ndarray, whole: int, size: int) -> list[int] | None:
    """Where in the whole batch's output each slice of the smaller (or larger) batch's is found; None if unknown."""
    if index.axis is None:
        return None
    length = value.shape[index.axis]
    share = length // whole
    if index.owners == tuple(place // share for place in range(length)):
        return [(sample % whole) * share + part for sample in range(size) for part in range(share)]
    if index.owners == tuple(place % whole for place in range(length)):
        return [part * whole + sample % whole for part in range(share) for sample in range(size)]
    return None


def _distance(expected: np.ndarray, after: np.ndarray) -> int | None:
    """In units in the last place of the largest value; None beyond rounding. Discrete values tell nothing here."""
    if discrete(expected):
        return 0
    first = expected.astype(np.complex128 if expected.dtype.kind == "c" else np.float64)
    second = after.astype(first.dtype)
    if not np.array_equal(np.isfinite(first), np.isfinite(second)):
        return None
    finite = np.isfinite(first)
    if not finite.any():
        return 0
    scale = float(np.abs(first[finite]).max())
    off = float(np.abs(first[finite] - second[finite]).max())
    if off == 0:
        return 0
    bytes_each = expected.dtype.itemsize // (2 if expected.dtype.kind == "c" else 1)
    tolerance = _TOLERANCE[bytes_each]
    if off > tolerance * max(scale, 1e-30):
        return None
    bits = {8: 52, 4: 23, 2: 10, 1: 3}[bytes_each]
    return max(1, round(off / (scale * 2.0**-bits)))


def _primes() -> Iterator[int]:
    number = 5
    while True:
        if all(number % divisor for divisor in range(2, int(number**0.5) + 1)):
            yield number
        number += 2
