"""One batch, what its taps held, and how what a perturbed pass shows there is put into words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from kmr_cli.arrays.dtypes import ArraySpec
from kmr_cli.batch.given import batch_size, number_samples
from kmr_cli.evidence.baseline import Baseline
from kmr_cli.evidence.owners import RANDOM
from kmr_cli.evidence.taps import Tap
from kmr_cli.evidence.words import both_ways_text
from kmr_cli.formats.interface import Session, Taps
from kmr_cli.records import Batch, BatchIndex

Progress = Callable[[str], None]
"""Receives what is being done, for a progress line."""
OWNED = ("separated", "merged", "moved", "reordered")
"""Kinds of a batch index that give every sample a part of its own."""
_LAST_BITS = 64
"""ULP up to which a difference is reported as one of last bits: kernels that regroup a sum stay well below."""


class Observed:
    """A batch and the values that it gave at every tap, to be compared with those of perturbed passes.

    Args:
        session: that runs the passes.
        batch: unchanged.
        taps: that are observed.
        sides: of them, of which something is wanted: ``in``, ``out``.
        base: what each tap held.
        seed: of replacement data.
        spare: further rows of the inputs, preferred as replacement data.
        progress: receives what is being done.
    """

    def __init__(
        self,
        session: Session,
        batch: Batch,
        taps: Taps,
        sides: tuple[str, ...],
        base: dict[Tap, np.ndarray],
        seed: int,
        spare: Batch | None,
        progress: Progress,
    ) -> None:
        self.session, self.batch, self.taps, self.sides, self.base = session, batch, taps, sides, base
        self.size, self.numbers = batch_size(batch), number_samples(batch).tolist()
        self.rng = np.random.default_rng([seed, 1])
        self.spare, self.progress = spare, progress
        self._unsteady: set[Tap] | None = None
        specs = {tap: ArraySpec(value.shape, value.dtype) for tap, value in base.items()}
        self.baseline = Baseline(self.size, specs, base)

    def judged(self, tap: Tap, index: BatchIndex, leak: np.ndarray, sample: int | None = None) -> BatchIndex:
        """Put the evidence into words; chance is ruled out before anything is called mixed."""
        if index.kind == "mixed":
            if tap in self.random_taps():
                return BatchIndex("inconclusive", evidence=RANDOM)
            ulp = int(leak.max())
            bits_only = ulp <= _LAST_BITS
            size = f", in the last bits only (at most {ulp} ULP)" if bits_only else ""
            return replace(
                index,
                evidence=f"values here depend on several samples{size}",
                max_ulp=ulp if bits_only else None,
            )
        if sample is None or index.kind == "constant":
            return index
        texts = {
            "interleaved": f"no axis separates sample {sample} from the others",
            "inconclusive": index.evidence or f"sample {sample} was replaced and nothing changed here",
        }
        return replace(index, evidence=texts.get(index.kind) or both_ways_text(sample, index))

    def random_taps(self) -> set[Tap]:
        """Taps that differ when the same batch is run again."""
        if self._unsteady is None:
            self.progress("running the same batch again")
            unsteady = self.baseline.differing(self.session, self.batch, self.taps, stop=True)
            self._unsteady = unsteady & self.base.keys()
        return self._unsteady


def routed() -> BatchIndex:
    """Of a tap whose shape depends on what the samples hold."""
    return BatchIndex("routed", evidence="the shape here changes with the samples' content")


def part(value: np.ndarray, index: BatchIndex, sample: int) -> np.ndarray:
    """What belongs to one sample there."""
    places = [place for place, owner in enumerate(index.owners) if owner == sample]
    own: np.ndarray = np.take(value, places, axis=index.axis)
    return own
