"""Where the tensor that enters a layer comes from: the layer that returned it, as far as contents show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from kmr_cli.compare.alignment import Call
from kmr_cli.evidence.taps import Tap
from kmr_cli.records import SampleSketch, Snapshot, TapSketch

Source: TypeAlias = Literal["layer", "input", "code"]

_CAST = 4e-3
"""Relative to the root mean square: what casting to bfloat16 may make of a figure."""


@dataclass(frozen=True)
class Origin:
    """Where a tensor comes from.

    Attributes:
        source: ``layer`` where a layer returned it; ``input`` where no layer ran before it, so that it comes from the
            model's inputs; ``code`` where code between the layers made it.
        taps: of the layers that returned this content, the last one first.
    """

    source: Source
    taps: tuple[Tap, ...] = ()

    @property
    def call(self) -> Call | None:
        """The call that returned it; None if no layer did."""
        return self.taps[0][:2] if self.taps else None


class Flow:
    """Of one run: the origin of every tensor that enters a layer. The same content is the same tensor."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.origins: dict[Tap, Origin] = {}
        self.entering: dict[Call, list[Tap]] = {}
        self._returned: dict[tuple[object, ...], tuple[Tap, ...]] = {}
        self._entered: dict[tuple[object, ...], Origin] = {}
        self._by_shape: dict[tuple[int | str, ...], list[TapSketch]] = {}
        self._started = False
        for tap in snapshot.taps:
            self._follow(tap)

    def starts(self, call: Call) -> bool:
        """Whether nothing enters a call, such as that of an input layer."""
        return call not in self.entering

    def upstream(self, call: Call) -> Iterator[Call]:
        """The calls whose results enter this one."""
        for tap in self.entering.get(call, ()):
            origin = self.origins[tap].call
            if origin is not None and origin != call:
                yield origin

    def _follow(self, tap: TapSketch) -> None:
        call, key = (tap.layer, tap.call), content_of(tap)
        if tap.port.startswith("in"):
            origin = self._origin(tap, key)
            self.origins[tap.tap] = origin
            self.entering.setdefault(call, []).append(tap.tap)
            self._entered.setdefault(key, origin)
        elif tap.layer:
            self._returned[key] = (tap.tap, *self._returned.get(key, ()))
            self._by_shape.setdefault(tap.shape, []).append(tap)
            self._started = self._started or not self.starts(call)

    def _origin(self, tap: TapSketch, key: tuple[object, ...]) -> Origin:
        if key in self._returned:
            return Origin("layer", self._returned[key])
        if key in self._entered:
            return self._entered[key]
        cast = next((other for other in reversed(self._by_shape.get(tap.shape, ())) if _is_cast(tap, other)), None)
        if cast is not None:
            return Origin("layer", self._returned[content_of(cast)])
        return Origin("code" if self._started else "input")


def content_of(tap: TapSketch) -> tuple[object, ...]:
    """What two tensors that are the same have in common."""
    return tap.shape, tap.dtype, tuple(sample.bits for sample in tap.samples)


def _is_cast(tap: TapSketch, other: TapSketch) -> bool:
    """Whether a tensor looks like another one with other precision."""
    floats = "float" in tap.dtype and "float" in other.dtype
    if not floats or tap.dtype == other.dtype or len(tap.samples) != len(other.samples):
        return False
    return all(map(_same_figures, tap.samples, other.samples))


def _same_figures(now: SampleSketch, before: SampleSketch) -> bool:
    if not now.rms or not before.rms:
        return now.rms == before.rms
    allowed = _CAST * max(now.rms, before.rms)
    pairs = ((now.minimum, before.minimum), (now.maximum, before.maximum), (now.rms, before.rms))
    # An extreme value is rounded in proportion to itself.
    return all(abs((a or 0.0) - (b or 0.0)) <= allowed + _CAST * abs(b or 0.0) for a, b in pairs)


def correspond(now: Origin, before: Origin, partners: Mapping[Call, Call]) -> bool:
    """Whether two tensors come from layers that correspond, or both from the model's inputs."""
    there = set(before.taps)
    found = ((partners.get(tap[:2]), tap[2]) for tap in now.taps)
    return any(call is not None and (*call, port) in there for call, port in found)
