"""The health of every value of one forward pass, sample by sample: nothing of a value is kept but a few numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from kmr_cli.arrays.dtypes import ArraySpec
from kmr_cli.batch.given import batch_size
from kmr_cli.batch.words import dtype_name
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.by_proof import proven_index
from kmr_cli.evidence.taps import Tap, watch
from kmr_cli.formats.interface import Session, Taps
from kmr_cli.proof.verdict import Proof
from kmr_cli.records import Batch, Trace, TracedValue

_Look: TypeAlias = Callable[[str, int, str, np.ndarray], TracedValue]


def trace(session: Session, batch: Batch, layers: tuple[str, ...], proof: Proof | None = None) -> Trace:
    """Run the batch once and look at everything that enters and leaves these layers, while it passes by.

    Which axis carries the samples the graph of the model says; where it doesn't, the first axis does if it is as long
    as the batch. A pass that fails shows what was seen until then.

    Args:
        session: the loaded model.
        batch: the inputs.
        layers: paths of what is looked at; the outputs of the model are, too.
        proof: of the model's own graph, where there is one.
    """
    size = batch_size(batch)
    values: list[TracedValue] = []

    def look(layer: str, call: int, port: str, array: np.ndarray) -> TracedValue:
        return _look((layer, call, port), array, size, proof)

    failed = hint = None
    try:
        watch(session, batch, Taps(layers, sides=("in", "out")), lambda *seen: values.append(look(*seen)))
    except ModelRunError as exc:
        failed, hint = exc.message, exc.hint
        if not values:
            values = _as_far_as_it_runs(session, batch, layers, look)
    bad = [~np.isfinite(one.reshape(size, -1)).all(axis=1) for one in batch.values() if one.dtype.kind in "fc"]
    given = np.flatnonzero(np.any(bad, axis=0)).tolist() if bad else []
    return Trace(size, tuple(values), given=tuple(given), failed=failed, hint=hint)


def _as_far_as_it_runs(session: Session, batch: Batch, layers: tuple[str, ...], look: _Look) -> list[TracedValue]:
    """For runtimes that hand out nothing of a run that fails: the values of as many layers as run on their own."""
    values: list[TracedValue] = []
    runs, fails = 0, len(layers) + 1
    while fails - runs > 1:
        middle = (runs + fails) // 2
        try:
            values = _first(session, batch, layers[:middle], look)
            runs = middle
        except ModelRunError:
            fails = middle
    return values


def _first(session: Session, batch: Batch, layers: tuple[str, ...], look: _Look) -> list[TracedValue]:
    found: list[TracedValue] = []
    session.capture(batch, Taps(layers, sides=("in", "out")), lambda *seen: found.append(look(*seen)), stop=True)
    return found


def _look(tap: Tap, array: np.ndarray, size: int, proof: Proof | None) -> TracedValue:
    axis, owners, proven = _rows(tap, array, size, proof)
    rows = array[None] if axis is None else np.moveaxis(array, axis, 0)
    rows = rows.reshape(len(owners), -1) if rows.size else np.zeros((len(owners), 0), np.float32)
    counts = _counts(rows)
    samples = 1 if axis is None else size

    def of_samples(row_wise: np.ndarray, merge: Any = np.add) -> np.ndarray:
        result = np.zeros(samples, row_wise.dtype)
        merge.at(result, owners, row_wise)
        return result

    largest = of_samples(counts["largest"], np.maximum)
    finite = of_samples(counts["finite"])
    layer, call, port = tap
    kinds = {
        name: tuple(of_samples(counts[name]).tolist()) for name in ("size", "nans", "infinities", "zeros", "at_limit")
    }
    known = tuple(float(one) if some else None for one, some in zip(largest, finite, strict=True))
    return TracedValue(
        layer, call, port, array.shape, dtype_name(array.dtype), axis, proven, **kinds, largest=known
    )  # fmt: skip


def _rows(tap: Tap, array: np.ndarray, size: int, proof: Proof | None) -> tuple[int | None, np.ndarray, bool]:
    """The axis of the samples, whose every slice along it is, and whether that is proven."""
    layer = tap[0]
    if proof is not None and layer and size > 1:
        index = proven_index(proof, tap, ArraySpec(array.shape, array.dtype), size, 0)
        if index is not None and index.axis is not None:
            return index.axis, np.array(index.owners), True
    if array.ndim and len(array) == size:
        return 0, np.arange(size), False
    return None, np.zeros(1, int), False


def _counts(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Of every row: how many elements, and how many of which kind."""
    number, length = rows.shape
    none = np.zeros(number, int)
    counts = {"size": none + length, "nans": none, "infinities": none, "zeros": none, "at_limit": none}
    if rows.dtype.kind not in "biufcV" or rows.dtype.names is not None:
        return {**counts, "largest": none.astype(float), "finite": none}
    if rows.dtype.kind in "cV":
        rows = np.abs(rows) if rows.dtype.kind == "c" else rows.astype(np.float32)
    counts["zeros"] = np.count_nonzero(rows == 0, axis=1)
    if rows.dtype.kind != "f":
        wide = rows.astype(np.float64)
        return {**counts, "largest": np.abs(wide).max(axis=1, initial=0.0), "finite": none + length}
    finite = np.isfinite(rows)
    counts["nans"] = np.count_nonzero(np.isnan(rows), axis=1)
    counts["infinities"] = length - np.count_nonzero(finite, axis=1) - counts["nans"]
    known = np.where(finite, rows, 0)
    low, high = known.min(initial=0), known.max(initial=0)
    if low < high:
        counts["at_limit"] = np.count_nonzero(finite & (rows != 0) & ((rows == low) | (rows == high)), axis=1)
    largest = np.abs(known.astype(np.float64)).max(axis=1, initial=0.0)
    return {**counts, "largest": largest, "finite": np.count_nonzero(finite, axis=1)}
