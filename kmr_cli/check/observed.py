"""What passes showed, as the rules judge it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from kmr_cli.evidence.sources import Source
from kmr_cli.evidence.taps import Tap
from kmr_cli.records import Batch


class Trial(NamedTuple):
    """A batch to try: of ``size`` samples, which may equal another dimension; each at its own place, or at another.

    ``order`` says which sample stands at each place, where that is neither.
    """

    size: int
    coincident: bool
    shifted: bool = False
    order: tuple[int, ...] | None = None

    def rows(self, whole: int) -> tuple[int, ...]:
        """Which sample of a batch of ``whole`` stands at each place: from the first on, again where it is too short."""
        return self.order or tuple((place + self.shifted) % whole for place in range(self.size))


@dataclass(frozen=True)
class SizeRun:
    """What a batch of another size, or in another order, showed; at most one of the problems is set.

    Attributes:
        size: number of samples.
        rows: which sample stood at each place.
        error: the model failed: its message.
        wrong_count: (output, message): another number of samples came out.
        differs: (output, message): a sample came out differently, beyond last bits.
        misplaced: whether only samples that did not stand at their own place came out differently; so it is where
            none did.
        off: output -> how far, in terms of its largest value, for all outputs that differ so.
        unsure: discrete outputs that differ: by a fault, or where rounding tips a decision.
        amplified: the output that differs so, where that is no more than rounding which the model makes larger.
        ulp: largest difference, in units in the last place of the tensor's largest value; 0 where all is bitwise equal.
        at: the output with that difference.
        shapes: of every output, by port; empty where the model failed.
        names: of every output, by port.
    """

    size: int
    rows: tuple[int, ...]
    error: str | None = None
    wrong_count: tuple[str, str] | None = None
    differs: tuple[str, str] | None = None
    misplaced: bool = False
    off: Mapping[str, float] = field(default_factory=dict)
    unsure: tuple[str, ...] = ()
    amplified: str | None = None
    ulp: int = 0
    at: str | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def wrong(self) -> bool:
        """Whether this size shows an error."""
        return self.error is not None or self.wrong_count is not None or self.differs is not None

    def without(self, ports: Collection[str]) -> SizeRun:
        """The same but for the values of some outputs, of which nothing can be said."""
        off = {port: far for port, far in self.off.items() if port not in ports}
        if len(off) == len(self.off) and self.at not in ports and self.amplified not in ports:
            return self
        differs = self.differs if self.differs is not None and self.differs[0] in off else None
        if differs is None and off and self.differs is not None:
            port, message = self.differs
            differs = next(iter(off)), message.replace(port, next(iter(off)))
        return replace(
            self, off=off, differs=differs, misplaced=self.misplaced and differs is not None,
            unsure=tuple(port for port in self.unsure if port not in ports),
            ulp=0 if self.at in ports else self.ulp, at=None if self.at in ports else self.at,
            amplified=None if self.amplified in ports else self.amplified,
        )  # fmt: skip


@dataclass(frozen=True)
class LargeRun:
    """What a batch as large as servers form them showed once more, with other data in about half of its places.

    Attributes:
        size: number of samples.
        batch: the batch.
        changed: the same with other data in the places that are not ``kept``.
        kept: places that hold what they held.
        leaks: outputs that changed at kept places, beyond what routed rows explain.
    """

    size: int
    batch: Batch
    changed: Batch
    kept: frozenset[int]
    leaks: tuple[Tap, ...]


@dataclass(frozen=True)
class Trace:
    """What was seen inside of a batch of another size, or in another order.

    Attributes:
        order: the taps in the order in which they ran.
        wrong: of another shape or with other values than the whole batch demands.
        right: those of which that was only supposed, and fits.
        bound: outputs of layers that have as many rows as the whole batch.
    """

    order: list[Tap] = field(default_factory=list)
    wrong: set[Tap] = field(default_factory=set)
    right: set[Tap] = field(default_factory=set)
    bound: list[Tap] = field(default_factory=list)


@dataclass(frozen=True)
class Traced:
    """Where a batch of another size, or in another order, goes wrong.

    Attributes:
        sources: the layers.
        right: taps that are right though they are mixed in their last bits.
        bound: outputs of layers that have as many rows as the batch whose results are known, at this size too.
    """

    sources: list[Source]
    right: set[Tap]
    bound: list[Tap]


@dataclass
class MaskRun:
    """What the masked passes showed.

    Attributes:
        order: taps in the order in which they ran.
        counts: how the batch was padded.
        lengths: inputs that say how much of each sample counts -> (the number of steps, whether they tell shares).
        padded: the padded batch.
        known: tap -> its value on it.
        ignored: taps at which the mask is ignored: what is in masked positions shows in others.
        doubtful: taps where that shows, of which nothing tells whether they hold steps.
        stepwise: taps ``(samples, steps, features)`` that it reaches in masked steps, and in no other.
        broken: taps that hold NaN or Inf for a fully masked sample.
        longer: taps that a longer padding changes.
        replaced: whether anything could be put into masked positions.
        lengthened: whether a longer padding could be tried, and was long enough for layers to give more steps.
        declared: whether the file says how many steps it takes.
        failed: what the model says to a fully masked sample, where it fails.
        passes: how many forward passes were made.
    """

    order: list[Tap] = field(default_factory=list)
    counts: dict[int, np.ndarray] = field(default_factory=dict)
    lengths: dict[str, tuple[int, bool]] = field(default_factory=dict)
    padded: dict[str, np.ndarray] = field(default_factory=dict)
    known: dict[Tap, np.ndarray] = field(default_factory=dict)
    ignored: set[Tap] = field(default_factory=set)
    doubtful: set[Tap] = field(default_factory=set)
    stepwise: set[Tap] = field(default_factory=set)
    broken: set[Tap] = field(default_factory=set)
    longer: set[Tap] = field(default_factory=set)
    replaced: bool = False
    lengthened: bool = False
    declared: bool = False
    failed: str | None = None
    passes: int = 0


@dataclass(frozen=True)
class WrongAxis:
    """A layer that applies a mask to the wrong axis.

    Attributes:
        source: its first output that shows it.
        message: one line: what was masked and what changed.
    """

    source: Source
    message: str
