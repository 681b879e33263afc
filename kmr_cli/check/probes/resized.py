"""The same samples in batches of other sizes, and at other places: does each come out as before?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.arrays.dtypes import ArraySpec, discrete
from kmr_cli.arrays.ulp import distance, relative
from kmr_cli.batch.given import batch_size
from kmr_cli.batch.words import count_samples
from kmr_cli.check.observed import SizeRun, Trace, Trial
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.taps import Tap, output_title
from kmr_cli.formats.interface import Session, Taps, ignored
from kmr_cli.records import Batch, BatchIndex

_COINCIDENT = 4
_LARGEST = 64
_LIGHT = 1 << 26
"""Bytes of activations: a batch that needs no more costs next to nothing."""
_HEAVY = 1 << 30
"""A batch that needs more is not tried because of a coincidence."""


def sizes_to_try(size: int, specs: Mapping[Tap, ArraySpec], nbytes: int, batch: Batch) -> list[Trial]:
    """Sizes 1, a prime that no dimension has, 2, 3, up to four that some have.

    Dimensions of outputs and masks come first: that is where a batch axis is mistaken for another one. Those inside
    are tried as far as that is cheap: batches that are smaller, or need little anyway. In the batch of the prime size
    every sample stands at another place, so that what depends on the place shows as well.

    Args:
        size: of the batch.
        specs: of all taps of the batch.
        nbytes: what all of them take.
        batch: the inputs.
    """
    inside: Counter[int] = Counter()
    outside: Counter[int] = Counter()
    for (layer, _, _), value in specs.items():
        for length in value.shape[1:]:
            if 1 < length <= _LARGEST:
                (inside if layer else outside)[length] += 1
    for mask in _like_masks(batch):
        outside.update(length for length in mask.shape[1:] if 1 < length <= _LARGEST)
    each = nbytes / size

    def cheap(number: int) -> bool:
        return number <= size or number * each <= (_HEAVY if number in outside else _LIGHT)

    lengths = [length for length, _ in outside.most_common()] + [length for length, _ in inside.most_common()]
    prime = next(number for number in _primes() if number != size and number not in inside and number not in outside)
    plain = [number for number in (1, prime, 2, 3) if number != size]  # what shows most comes first
    coincident = [number for number in dict.fromkeys(lengths) if number != size and number not in plain]
    taken = [Trial(number, number in lengths, shifted=number == prime) for number in plain]
    return taken + [Trial(number, True) for number in coincident if cheap(number)][:_COINCIDENT]


def _like_masks(batch: Batch) -> Iterator[np.ndarray]:
    """Inputs that say something of the steps of another: booleans, and shapes that another one's begins with."""
    for name, values in batch.items():
        others = [other.shape for key, other in batch.items() if key != name]
        if values.dtype == bool or any(
            values.ndim < len(other) and other[: values.ndim] == values.shape for other in others
        ):
            yield values


def outputs_of(session: Session, batch: Batch, taps: Taps) -> dict[str, np.ndarray] | ModelRunError:
    """What the model returns, by name; its failure, where it fails.

    With all taps, though none is looked at: so no second copy of the model has to be made ready.
    """
    try:
        found = session.capture(batch, taps, ignored)
    except ModelRunError as exc:
        return exc
    assert found is not None
    return {name: np.asarray(value) for name, value in found.items()}


def hold(
    after: Mapping[str, np.ndarray],
    rows: tuple[int, ...],
    whole: int,
    outputs: Mapping[Tap, tuple[np.ndarray, BatchIndex]],
    names: Mapping[str, str],
    noisy: Collection[Tap] = (),
) -> SizeRun:
    """Hold what a model returned for some of the samples against what is known of them.

    Args:
        after: the outputs, by port; one that is left out could not be distinguished from others.
        rows: which sample stood at each place.
        whole: number of samples of the batch whose results are known.
        outputs: output tap -> its value for the whole batch, and its batch index.
        names: of the outputs, by port.
        noisy: of these only the shape is compared.
    """
    size = len(rows)
    shapes = {port: value.shape for port, value in after.items()}
    worst, at, misplaced = 0, None, True
    far: dict[str, float] = {}
    unsure: list[str] = []
    for tap, (before, index) in outputs.items():
        port = tap[2]
        title = output_title(port, names)
        quiet = index.kind == "constant"
        expected = before if quiet and index.axis is None else expected_at(before, index, whole, rows)
        if expected is None or port not in after:
            continue
        if (quiet or index.kind == "inconclusive") and after[port].shape != expected.shape:
            continue  # the axis was only supposed, and is none that carries the samples
        if quiet:  # no sample moves it: then nor may their number, and there is no decision that rounding could tip
            other = changed(expected, after[port]).any() and alike(after[port])
            if other and (discrete(expected) or distance(expected, after[port], before) is None):
                far[port], misplaced = relative(expected, after[port], before), False
            continue
        axis = index.axis or 0
        if after[port].ndim != before.ndim or after[port].shape[axis] != expected.shape[axis]:
            message = f"{count_samples(size)} went in and {title} has shape {shapes[port]}, not {count_samples(size)}"
            return SizeRun(size, rows, wrong_count=(port, message), shapes=shapes)
        if expected.shape != after[port].shape:
            message = f"{title} has shape {shapes[port]} where {expected.shape} was expected"
            return SizeRun(size, rows, wrong_count=(port, message), shapes=shapes)
        if tap not in noisy and discrete(expected) and changed(expected, after[port]).any():
            unsure.append(port)
        off = 0 if tap in noisy else distance(expected, after[port], before)
        if off is None:
            far[port] = relative(expected, after[port], before)
            misplaced = misplaced and _agree_in_place(expected, after[port], index, before, whole, rows)
            continue
        if off > worst:
            worst, at = off, port
    differs = (next(iter(far)), beyond_rounding(next(iter(far)), names)) if far else None
    return SizeRun(
        size, rows, differs=differs, misplaced=misplaced and bool(far), off=far, unsure=tuple(unsure),
        ulp=0 if far else worst, at=at, shapes=shapes, names=names,
    )  # fmt: skip


def alike(value: np.ndarray) -> bool:
    """Whether all rows of an array are the same."""
    return value.ndim == 0 or not changed(np.broadcast_to(value[:1], value.shape), value).any()


def expected_shape(shape: Sequence[int], axis: int, whole: int, size: int) -> tuple[int, ...]:
    """Of a tensor in a batch of ``size``, where it is ``shape`` in one of ``whole`` with the samples along ``axis``."""
    return (*shape[:axis], shape[axis] * size // whole, *shape[axis + 1 :])


def places_of(index: BatchIndex, shape: Sequence[int], whole: int, size: int, samples: Collection[int]) -> list[int]:
    """The slices of a tensor along its batch axis that belong to some samples of a batch of another size.

    Args:
        index: of the tensor in the batch of ``whole`` samples.
        shape: of it there.
        whole: samples of that batch.
        size: samples of the other batch.
        samples: of the other batch.
    """
    places = _places(index, shape, whole, range(size)) or []
    return [place for place, (slot, _) in enumerate(places) if slot in samples]


def _agree_in_place(
    expected: np.ndarray, after: np.ndarray, index: BatchIndex, before: np.ndarray, whole: int, rows: Sequence[int]
) -> bool:
    """Whether samples that stand at their own place came out as they should."""
    places = _places(index, before.shape, whole, rows)
    assert places is not None
    assert index.axis is not None
    own = [number for number, (slot, _) in enumerate(places) if rows[slot] == slot]
    first, second = (np.take(value, own, axis=index.axis) for value in (expected, after))
    return distance(first, second, before) is not None


def beyond_rounding(port: str, names: Mapping[str, str]) -> str:
    """What is said of an output that differs."""
    return f"{output_title(port, names)} of the same samples differs beyond rounding"


def trace_size(
    session: Session,
    batch: Batch,
    rows: Sequence[int],
    taps: Taps,
    known: Mapping[Tap, tuple[np.ndarray, BatchIndex]],
    noisy: Collection[Tap] = (),
    supposed: Collection[Tap] = (),
) -> Trace:
    """Run a batch of another size, or in another order, once more, and look inside for what went wrong.

    Args:
        session: the loaded model.
        batch: the batch whose results are known.
        rows: which sample stands at each place.
        taps: what to observe.
        known: tap -> its value for the whole batch, and its batch index; empty where the whole batch failed too.
        noisy: of these only the shape is compared.
        supposed: of these it is only supposed whose every slice is. They count as right where that fits, and as wrong
            only where it does not though all that enters the layer is right.

    Returns:
        What was seen. Where the model failed, the layer that never returned counts as wrong, with its output as the
        last tap.
    """
    whole, found = batch_size(batch), Trace()
    order, wrong = found.order, found.wrong
    fed, doubtful = set[tuple[str, int]](), set[tuple[str, int]]()  # calls: something right enters, something else

    def look(layer: str, call: int, port: str, array: np.ndarray) -> None:
        tap = (layer, call, port)
        order.append(tap)
        if layer and port.startswith("out") and tap in known and keeps_rows(known[tap][0].shape, array.shape, whole):
            found.bound.append(tap)
        expected = expected_at(*known[tap], whole, rows) if tap in known else None
        if expected is None:
            if port.startswith("in"):
                doubtful.add((layer, call))
            return
        fits = expected.shape == array.shape and (tap in noisy or distance(expected, array, known[tap][0]) is not None)
        if fits and tap in supposed:
            found.right.add(tap)
        if port.startswith("in"):
            (fed if fits else doubtful).add((layer, call))
        sure = tap not in supposed or (port.startswith("out") and (layer, call) in fed - doubtful)
        if not fits and sure:
            wrong.add(tap)

    try:
        outputs = session.capture(resized(batch, rows), taps, look)
        assert outputs is not None
        for number, value in enumerate(outputs.values()):
            look("", 0, f"out{number}", np.asarray(value))
    except ModelRunError as exc:
        failed = broken(exc, order)
        if failed is not None:
            order.append(failed)
            wrong.add(failed)
    return found


def keeps_rows(before: Sequence[int], after: Sequence[int], whole: int) -> bool:
    """Whether a value has one row for each of ``whole`` samples, and as many where there are more or fewer of them."""
    return len(before) > 0 and len(before) == len(after) and before[0] == after[0] == whole


def broken(failure: ModelRunError, order: Sequence[Tap]) -> Tap | None:
    """The output of the layer that failed: the one that the framework names, or the last that was never left."""
    if failure.layer is not None:
        return failure.layer, 0, "out0"
    left = {(layer, call) for layer, call, port in order if port.startswith("out")}
    for layer, call, _ in reversed(order):
        if layer and (layer, call) not in left:
            return layer, call, "out0"
    return None


def resized(batch: Batch, rows: Sequence[int]) -> dict[str, np.ndarray]:
    """The samples ``rows``, in this order."""
    return {name: values[list(rows)] for name, values in batch.items()}


def expected_at(before: np.ndarray, index: BatchIndex, whole: int, rows: Sequence[int]) -> np.ndarray | None:
    """What a tensor must be for the samples ``rows``, from its value for the whole batch; None if unknown."""
    places = _places(index, before.shape, whole, rows)
    if places is None or index.axis is None:
        return None
    return np.asarray(np.take(before, [place for _, place in places], axis=index.axis))


def _places(index: BatchIndex, shape: Sequence[int], whole: int, rows: Sequence[int]) -> list[tuple[int, int]] | None:
    """Of every slice: for which of ``rows`` it stands, and where it is in the whole batch's tensor; None if unknown."""
    if index.axis is None:
        return None
    length = shape[index.axis]
    if not length or length % whole:
        return None
    share = length // whole
    if index.owners == tuple(place // share for place in range(length)):
        return [(slot, sample * share + part) for slot, sample in enumerate(rows) for part in range(share)]
    if index.owners == tuple(place % whole for place in range(length)):
        return [(slot, part * whole + sample) for part in range(share) for slot, sample in enumerate(rows)]
    return None


def _primes() -> Iterator[int]:
    number = 5
    while True:
        if all(number % divisor for divisor in range(2, int(number**0.5) + 1)):
            yield number
        number += 2
