"""How one tap of a model differs from its counterpart in a baseline."""

from __future__ import annotations

from dataclasses import replace

from kmr_cli.compare.by_sketches import by_sketches
from kmr_cli.compare.difference import FAR, TapDifference, Values
from kmr_cli.compare.exactly import exactly
from kmr_cli.records import TapSketch

RANDOM = "changes from run to run"
NOW_RANDOM = "gives different values for the same batch from run to run, which it did not before"
OF_OTHERS = "each sample has another one's values: the same rows in a different order"
_CUT = "is split by sample on one side only"


def differ(
    model: TapSketch,
    baseline: TapSketch,
    size: int,
    tolerance: tuple[float, float],
    *,
    values: tuple[Values, Values] | None = None,
    any_layout: bool = False,
    schema: int = 2,
) -> TapDifference:
    """Compare two taps.

    Args:
        model: the tap.
        baseline: its counterpart.
        size: samples in the batch.
        tolerance: (rtol, atol).
        values: where the whole tensors are, for an exact comparison.
        any_layout: channels may stand first in one and last in the other.
        schema: version of the snapshots that both sketches are from. Version 1 leaves more unknown.
    """
    if model.random and not baseline.random:
        return TapDifference("off", size=FAR, reason=NOW_RANDOM)
    if model.random or baseline.random:
        return TapDifference("unknown", reason=RANDOM)
    if values is not None:
        mine, yours = values[0](model), values[1](baseline)
        found = exactly(mine, yours, model, baseline, size, tolerance, any_layout=any_layout)
        return _of_others(found, model, baseline, size)
    now, before = sizes_of(model, size), sizes_of(baseline, size)
    if now != before:
        return TapDifference("shape", moved=sorted(now) == sorted(before))
    if len(model.samples) != len(baseline.samples) or model.count != baseline.count:
        return TapDifference("unknown", reason=_CUT)
    return _of_others(by_sketches(model, baseline, size, tolerance, schema), model, baseline, size)


def _of_others(found: TapDifference, model: TapSketch, baseline: TapSketch, size: int) -> TapDifference:
    """The difference, told as what it is where every sample's values are those of another sample."""
    if found.kind not in ("off", "reordered") or not 1 < size == len(model.samples) == len(baseline.samples):
        return found
    now, before = ([sample.bits for sample in tap.samples] for tap in (model, baseline))
    swapped = now != before and sorted(now) == sorted(before)
    return replace(found, kind="off", reason=OF_OTHERS) if swapped else found


def sizes_of(tap: TapSketch, size: int) -> tuple[int, ...]:
    """The shape in numbers, with the axis that carries the samples first."""
    shape = list(tap.sizes(size))
    if tap.axis is not None:
        shape.insert(0, shape.pop(tap.axis))
    return tuple(shape)
