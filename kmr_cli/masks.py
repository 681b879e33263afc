"""Masks: what stands in masked positions may not matter, and a sample that is masked altogether may not give NaN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kmr_cli import replacement
from kmr_cli.batch_index import changed
from kmr_cli.errors import BatchError, ModelRunError
from kmr_cli.evidence import Tap, watch
from kmr_cli.formats import Session, Taps
from kmr_cli.records import Batch, TensorSpec
from kmr_cli.sizes import distance

_LONGER = 3
"""Steps of padding that are appended."""


@dataclass(frozen=True)
class Mask:
    """How a model is told which steps (axis 1) count.

    Attributes:
        name: the input.
        value: steps of the input that hold it are padding; None where the input is a mask itself (0: padding).
    """

    name: str
    value: float | None = None


@dataclass
class MaskRun:
    """What the masked passes showed.

    Attributes:
        order: taps in the order in which they ran.
        heard: taps where what stands in masked positions shows in others.
        broken: taps that hold NaN or Inf for a fully masked sample.
        longer: outputs that a longer padding changes.
        failed: what the model says to a fully masked sample, where it fails.
        passes: how many forward passes were made.
    """

    order: list[Tap] = field(default_factory=list)
    heard: set[Tap] = field(default_factory=set)
    broken: set[Tap] = field(default_factory=set)
    longer: set[Tap] = field(default_factory=set)
    failed: str | None = None
    passes: int = 0


def parse(texts: Sequence[str], specs: Sequence[TensorSpec]) -> list[Mask]:
    """``mask`` or ``tokens=0``, as typed on the command line.

    Raises:
        BatchError: no such input, or not a number.
    """
    known = {spec.name for spec in specs}
    masks = []
    for text in texts:
        name, given, value = text.partition("=") if text not in known else (text, "", "")
        if name not in known:
            raise BatchError(
                f"--mask-input names no input of the model: {name!r}", f"it takes {', '.join(map(repr, sorted(known)))}"
            )
        try:
            masks.append(Mask(name, float(value) if given else None))
        except ValueError:
            raise BatchError(f"--mask-input {text}: {value!r} is not a number", f"for example {name}=0") from None
    return masks


def try_masks(session: Session, batch: Batch, masks: Sequence[Mask], taps: Taps, rng: np.random.Generator) -> MaskRun:
    """At most four passes: padded, padded with other content, one sample empty, a longer padding.

    Raises:
        BatchError: a mask has no steps.
        ModelRunError: the model does not run on a padded batch.
    """
    for mask in masks:
        if batch[mask.name].ndim < 2 or batch[mask.name].shape[1] < 2:
            raise BatchError(f"input {mask.name!r} has no steps to mask", "a mask has the shape (batch, steps)")
    run = MaskRun(passes=2)
    counts = {batch[mask.name].shape[1]: _lengths(batch[mask.name]) for mask in masks}
    padded = _padded(batch, masks, counts)
    known: dict[Tap, np.ndarray] = {}

    def keep(layer: str, call: int, port: str, array: np.ndarray) -> None:
        run.order.append((layer, call, port))
        known[layer, call, port] = np.array(array, copy=True)

    def compare(layer: str, call: int, port: str, array: np.ndarray) -> None:
        before = known.get((layer, call, port))
        if before is not None and before.shape == array.shape and _counted(before, array, counts, exactly=True):
            run.heard.add((layer, call, port))

    watch(session, padded, taps, keep)
    explicit = [mask for mask in masks if mask.value is None]
    if explicit:
        watch(session, _refilled(padded, explicit, counts, session.inputs, rng), taps, compare)
    else:
        run.passes -= 1
    _try_empty(session, padded, masks, taps, known, run)
    _try_longer(session, padded, masks, counts, known, run)
    return run


def _try_empty(
    session: Session, padded: Batch, masks: Sequence[Mask], taps: Taps, known: Mapping[Tap, np.ndarray], run: MaskRun
) -> None:
    empty = {name: np.array(values, copy=True) for name, values in padded.items()}
    for mask in masks:
        empty[mask.name][0] = mask.value or 0
    run.passes += 1

    def look(layer: str, call: int, port: str, array: np.ndarray) -> None:
        tap = (layer, call, port)
        before = known.get(tap)
        if (
            array.dtype.kind in "fc"
            and before is not None
            and np.isfinite(before).all()
            and not np.isfinite(array).all()
        ):
            run.broken.add(tap)

    try:
        watch(session, empty, taps, look)
    except ModelRunError as exc:
        run.failed = exc.message


def _try_longer(
    session: Session, padded: Batch, masks: Sequence[Mask], counts: Mapping[int, np.ndarray],
    known: Mapping[Tap, np.ndarray], run: MaskRun,
) -> None:  # fmt: skip
    fill = {mask.name: mask.value or 0 for mask in masks}
    longer = {}
    for name, values in padded.items():
        wide = [(0, 0)] * values.ndim
        if values.ndim > 1 and values.shape[1] in counts:
            wide[1] = (0, _LONGER)
        longer[name] = np.pad(values, wide, constant_values=fill.get(name, 0)) if values.dtype != object else values
    specs = {spec.name: spec.shape for spec in session.inputs}
    if any(
        shape is not None and len(shape) > 1 and shape[1] is not None for shape in (specs[mask.name] for mask in masks)
    ):
        return  # the number of steps is fixed
    run.passes += 1

    def look(layer: str, call: int, port: str, array: np.ndarray) -> None:
        before = known.get((layer, call, port))
        if layer or before is None or before.ndim != array.ndim:
            return
        cut = array[tuple(slice(length) for length in before.shape)]
        if cut.shape == before.shape and _counted(before, cut, counts, exactly=False):
            run.longer.add((layer, call, port))

    try:
        watch(session, longer, Taps(()), look)
    except ModelRunError:
        run.longer.clear()  # it takes no other number of steps


def _lengths(values: np.ndarray) -> np.ndarray:
    """How many steps of each sample count: different ones, at least one, never all."""
    samples, steps = values.shape[:2]
    return np.asarray(np.maximum(1, steps - 1 - np.arange(samples) % max(1, steps // 2)))


def _padded(batch: Batch, masks: Sequence[Mask], counts: Mapping[int, np.ndarray]) -> dict[str, np.ndarray]:
    result = {name: np.array(values, copy=True) for name, values in batch.items()}
    for mask in masks:
        values = result[mask.name]
        away = _masked(values, counts)
        if mask.value is None:
            values[...] = np.reshape(~away, away.shape + (1,) * (values.ndim - 2))
        else:
            if values.dtype.kind in "iu":
                values[values == mask.value] = mask.value + 1
            values[away] = mask.value
    return result


def _refilled(
    padded: Batch, masks: Sequence[Mask], counts: Mapping[int, np.ndarray], specs: Sequence[TensorSpec],
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Other content in the masked positions of everything that has steps and is no mask itself."""
    names = {mask.name for mask in masks}
    everyone = range(len(next(iter(padded.values()))))
    fresh = replacement.replace(padded, everyone, tuple(specs), rng)
    result = {name: np.array(values, copy=True) for name, values in padded.items()}
    for name, values in result.items():
        if name not in names and values.ndim > 1 and values.shape[1] in counts:
            away = _masked(values, counts)
            values[away] = fresh[name][away]
    return result


def _masked(values: np.ndarray, counts: Mapping[int, np.ndarray]) -> np.ndarray:
    steps = values.shape[1]
    return np.asarray(np.arange(steps)[None] >= counts[steps][:, None])


def _counted(before: np.ndarray, after: np.ndarray, counts: Mapping[int, np.ndarray], *, exactly: bool) -> bool:
    """Whether two results differ where it counts: at unmasked steps, or anywhere if there are no steps."""
    if before.ndim > 1 and before.shape[1] in counts and len(before) == len(counts[before.shape[1]]):
        away = _masked(before, counts)
        before, after = before[~away], after[~away]
    elif any(length in counts for length in before.shape[1:]):
        return False  # steps on another axis: which of them count is not known
    return bool(changed(before, after).any()) if exactly else distance(before, after) is None
