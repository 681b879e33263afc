"""How two taps differ as far as their sketches tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kmr_cli.compare.difference import FAR, Parts, TapDifference
from kmr_cli.records import SampleSketch, TapSketch
from kmr_cli.snapshot import sketch_v1
from kmr_cli.snapshot.sketch import WIDTH, estimated_rms, groups_of, resolution

_SAME_FIGURES = 1e-5
"""Relative: minimum, maximum, mean and rms of the same values in a different order agree that well."""
_REORDERED = 100 * _SAME_FIGURES
"""Relative: a smaller difference changes the figures too little to tell another order from other values."""
_MANY = 16
"""With at least so many elements, four figures do not agree by chance."""
_ROUNDED = 1e-5
"""Relative: what rounding to six digits may make of the difference of two figures."""
_HIDDEN = "differs bit for bit, and a version 1 snapshot can't tell rounding from swapped values"
_PLACES = "differs bit for bit, and a version 1 snapshot doesn't record where NaN and Inf are"


def by_sketches(
    model: TapSketch, baseline: TapSketch, size: int, tolerance: tuple[float, float], schema: int
) -> TapDifference:
    """What the sketches of two taps of one shape tell; arguments as for :func:`kmr_cli.compare.differ.differ`."""
    groups: Sequence[range] = groups_of(size) if len(model.samples) > 1 or size == 1 else [range(0)]
    parts = Parts()
    far, hidden = False, ""
    for group, now, before in zip(groups, model.samples, baseline.samples, strict=True):
        if now.bits == before.bits and model.dtype == baseline.dtype:
            continue
        part = _part(now, before, model, baseline, tolerance, schema)
        parts.add(group, part)
        far = far or (part.kind == "off" and not part.reason and _REORDERED * part.scale < part.size < FAR)
        if schema == 1 and part.kind != "off":
            rounding = _rounding(now, before, model, baseline, schema)
            hidden = hidden or _hidden(now, model, part.size, rounding)
    found = parts.together()
    if found is None:
        return TapDifference("same")
    if far and model.count >= _MANY and all(map(_same_figures, model.samples, baseline.samples)):
        return replace(found, kind="reordered")
    if hidden and not parts.off:
        return TapDifference("unknown", reason=hidden)
    return found


def _part(
    now: SampleSketch, before: SampleSketch, model: TapSketch, baseline: TapSketch, tolerance: tuple[float, float],
    schema: int,
) -> TapDifference:  # fmt: skip
    """How two sketches of different content differ: off or close."""
    rtol, atol = tolerance
    distance = _estimate(now, before, model.count)
    scale = before.rms or 0.0
    allowed = atol + rtol * scale
    if allowed:
        # What the rounding of the sketches themselves may make isn't evidence.
        allowed = max(allowed, _rounding(now, before, model, baseline, schema))
    if distance > allowed or distance == FAR or (allowed == 0 and model.dtype == baseline.dtype):
        return TapDifference("off", (), distance, allowed, scale)
    return _extremes(now, before, tolerance) or TapDifference("close", (), distance, allowed, scale)


def _rounding(now: SampleSketch, before: SampleSketch, model: TapSketch, baseline: TapSketch, schema: int) -> float:
    """The largest distance that comes from nothing but the rounding of the sketches."""
    of = resolution if schema > 1 else sketch_v1.resolution
    return max(of(before.projection, baseline.dtype, model.count), of(now.projection, model.dtype, model.count))


def _hidden(now: SampleSketch, model: TapSketch, distance: float, rounding: float) -> str:
    """Why sketches of version 1 that agree say nothing, where bits differ; empty where they do say it.

    In them +d and -d at two places of a bucket may cancel, and only the number of NaN and Inf is known.
    """
    if now.nonfinite:
        return _PLACES
    elements = model.count * (2 if model.dtype.startswith("complex") else 1)
    return _HIDDEN if elements > WIDTH and distance <= rounding else ""


def _estimate(now: SampleSketch, before: SampleSketch, count: int) -> float:
    if (now.nonfinite, now.places) != (before.nonfinite, before.places):
        return FAR
    if len(now.projection) != len(before.projection):
        return FAR
    if not now.projection:  # text, or nothing at all
        return 0.0 if now.bits == before.bits else FAR
    return estimated_rms(now.projection, before.projection, count)


def _extremes(now: SampleSketch, before: SampleSketch, tolerance: tuple[float, float]) -> TapDifference | None:
    """What is wrong with the smallest and the largest value: they show an outlier that a root mean square hides."""
    if now.minimum is None or now.maximum is None or before.minimum is None or before.maximum is None:
        return None
    rtol, atol = tolerance
    distance = max(abs(now.minimum - before.minimum), abs(now.maximum - before.maximum))
    scale = max(abs(before.minimum), abs(before.maximum))
    allowed = atol + max(rtol * scale, _ROUNDED * max(scale, abs(now.minimum), abs(now.maximum)))
    if distance <= allowed:
        return None
    reason = f"the smallest or the largest value is off by {distance:.3g}, tolerance {allowed:.3g}"
    return TapDifference("off", (), distance, allowed, scale, reason=reason)


def _same_figures(now: SampleSketch, before: SampleSketch) -> bool:
    if now.rms is None or before.rms is None or now.nonfinite != before.nonfinite:
        return False
    pairs = (
        (now.minimum, before.minimum), (now.maximum, before.maximum), (now.mean, before.mean), (now.rms, before.rms)
    )  # fmt: skip
    return all(abs((a or 0.0) - (b or 0.0)) <= _SAME_FIGURES * before.rms for a, b in pairs)
