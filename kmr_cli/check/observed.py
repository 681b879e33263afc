"""What passes at other batch sizes showed, as the rules judge it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kmr_cli.evidence.taps import Tap


class Trial(NamedTuple):
    """A batch to try: of ``size`` samples, which may equal another dimension; each at its own place, or at another."""

    size: int
    coincident: bool
    shifted: bool = False

    def rows(self, whole: int) -> tuple[int, ...]:
        """Which sample of a batch of ``whole`` stands at each place: from the first on, again where it is too short."""
        return tuple((place + self.shifted) % whole for place in range(self.size))


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


@dataclass(frozen=True)
class Trace:
    """What was seen inside of a batch of another size, or in another order.

    Attributes:
        order: the taps in the order in which they ran.
        wrong: of another shape or with other values than the whole batch demands.
        right: those of which that was only supposed, and fits.
    """

    order: list[Tap] = field(default_factory=list)
    wrong: set[Tap] = field(default_factory=set)
    right: set[Tap] = field(default_factory=set)
