"""The unchanged pass of a batch, and the one way in which other passes are compared with it while they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kmr_cli.arrays.changes import differs
from kmr_cli.arrays.dtypes import ArraySpec
from kmr_cli.arrays.ulp import FAR
from kmr_cli.evidence.taps import watch
from kmr_cli.formats.interface import Session, Taps
from kmr_cli.records import Batch, BatchIndex, Tap

Look = Callable[[Tap, np.ndarray, bool], None]
"""Sees (tap, value, whether another tap of this pass had the very same tensor)."""


@dataclass
class Pass:
    """How the taps of one pass compare with those of the unchanged batch.

    Attributes:
        order: in which they ran; as far as it came, where the pass broke off.
        reshaped: taps that came with another shape or dtype.
        new: taps that the unchanged batch does not have.
        missing: taps that only the unchanged batch has.
    """

    order: list[Tap] = field(default_factory=list)
    reshaped: set[Tap] = field(default_factory=set)
    new: set[Tap] = field(default_factory=set)
    missing: set[Tap] = field(default_factory=set)

    @property
    def rerouted(self) -> set[Tap]:
        """Taps whose shape or presence changed."""
        return self.reshaped | self.new | self.missing


@dataclass
class Baseline:
    """What is known of the unchanged batch.

    Attributes:
        size: number of samples.
        specs: tap -> shape and dtype.
        base: tap -> its value, contiguous in C order, as far as it is kept.
        canonical: tap -> the tap whose tensor it shares, where that is known.
        last_pass: the pass that was compared last, or is being compared.
    """

    size: int
    specs: dict[Tap, ArraySpec] = field(default_factory=dict)
    base: dict[Tap, np.ndarray] = field(default_factory=dict)
    canonical: dict[Tap, Tap] = field(default_factory=dict)
    last_pass: Pass = field(default_factory=Pass)

    def compare(self, session: Session, batch: Batch, taps: Taps, look: Look, *, stop: bool = False) -> Pass:
        """Run another batch, and look at every tap that has the shape and dtype that it had.

        Args:
            session: the loaded model.
            batch: of the same size.
            taps: what to observe.
            look: called while the pass runs.
            stop: end it after the last of ``taps``, without the model's outputs.
        """
        found = self.last_pass = Pass()
        seen: dict[Tap, Any] = {}

        def sink(layer: str, call: int, port: str, array: np.ndarray) -> None:
            tap = (layer, call, port)
            found.order.append(tap)
            shared = self._shared(tap, array, seen)
            before = self.specs.get(tap)
            if before is None:
                found.new.add(tap)
            elif before.shape != array.shape or before.dtype != array.dtype:
                found.reshaped.add(tap)
            else:
                look(tap, array, shared)

        if stop:
            session.capture(batch, taps, sink, stop=True)
        else:
            watch(session, batch, taps, sink)
        found.missing = self.specs.keys() - seen.keys()
        return found

    def differing(
        self,
        session: Session,
        batch: Batch,
        taps: Taps,
        *,
        stop: bool = False,
        also: Callable[[Tap, np.ndarray], None] = lambda _tap, _array: None,
    ) -> set[Tap]:
        """Taps of the unchanged batch, and others, that differ when ``batch``, mostly the same, is run: by chance.

        ``also`` sees every value that has the shape it had.
        """
        found: set[Tap] = set()

        def look(tap: Tap, array: np.ndarray, shared: bool) -> None:
            also(tap, array)
            if self.canonical[tap] in found if shared else self._differs(tap, array):
                found.add(tap)

        done = self.compare(session, batch, taps, look, stop=stop)
        return found | done.rerouted

    def moved(
        self,
        session: Session,
        batch: Batch,
        taps: Taps,
        samples: Sequence[int],
        indices: Mapping[Tap, BatchIndex],
        also: Callable[[Tap, np.ndarray], None] = lambda _tap, _array: None,
        *,
        stop: bool = False,
    ) -> dict[Tap, int]:
        """Where slices of ``samples``, which stand unchanged in ``batch``, changed all the same.

        Args:
            session: the loaded model.
            batch: of the same size, hard on the other samples.
            taps: what to observe.
            samples: those that stand unchanged.
            indices: whose every slice is.
            also: sees every distinct value that has the shape it had, and all outputs.
            stop: as in :meth:`compare`.

        Returns:
            Tap -> by how many units in the last place of the largest value, at most FAR, which also stands for a
            distance that was not looked at.
        """
        found: dict[Tap, int] = {}

        def look(tap: Tap, array: np.ndarray, shared: bool) -> None:
            if shared:
                if self.canonical[tap] in found:
                    found[tap] = found[self.canonical[tap]]
                return
            also(tap, array)
            index = indices.get(tap)
            if index is not None and index.axis is not None:
                places = [place for place, owner in enumerate(index.owners) if owner in samples]
                distance = self._distance(tap, array, index.axis, places)
                if distance:
                    found[tap] = distance

        self.compare(session, batch, taps, look, stop=stop)
        return found

    def _shared(self, tap: Tap, array: np.ndarray, seen: dict[Tap, Any]) -> bool:  # noqa: ARG002  (a hook)
        """Whether the tensor was looked at in this pass already. ``seen`` gathers the taps of the pass."""
        seen[tap] = None
        return False

    def _differs(self, tap: Tap, array: np.ndarray) -> bool:
        """Whether a tap with the shape that it had has other values."""
        return differs(self.base[tap], array)

    def _distance(self, tap: Tap, array: np.ndarray, axis: int, places: Sequence[int]) -> int:
        """How far the slices at these places along an axis moved, as :meth:`moved` returns it; 0 for not at all."""
        return FAR if moved_there(self.base[tap], array, axis, places) else 0


def moved_there(before: np.ndarray, after: np.ndarray, axis: int, places: Sequence[int]) -> bool:
    """Whether a slice at one of these places along an axis changed. Neighbours are looked at together."""
    outside, wanted = (slice(None),) * axis, set(places)
    starts = [place for place in places if place - 1 not in wanted]
    ends = [place + 1 for place in places if place + 1 not in wanted]
    for start, end in zip(starts, ends, strict=True):
        there = (*outside, slice(start, end))
        if differs(np.ascontiguousarray(before[there]), after[there]):
            return True
    return False
