"""After group passes: which sample moves which. The reaction pattern suggests a pair, one more pass verifies it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.check.axes import carrying_axes
from kmr_cli.check.run import Run
from kmr_cli.evidence.taps import Tap, watch
from kmr_cli.records import Batch


def find_pairs(run: Run, budget: int, spare: Batch | None = None) -> tuple[tuple[int, int], ...]:
    """Of mixes that group passes found, at least one verified pair (moved, changed) for every output, if possible.

    Row i of an output moved in a pass that left sample i alone: so something moved it that differs from i in the bit
    of that pass. With a single foreign mover j these bits are those of ``i ^ j``, and a pass that replaces j alone
    verifies it. Several movers may suggest one that is none of them; then halves of all that the pattern leaves
    possible are replaced until one is left.

    Args:
        run: the check.
        budget: number of passes that may be run.
        spare: further rows of the inputs, preferred as replacement data.
    """
    hunt = _Hunt(run, budget, spare)
    for tap in hunt.outputs:
        hunt.search(tap)
    return tuple(sorted(set().union(*hunt.pairs.values())))


class _Hunt:
    """The passes that replace suspects, and what they showed of every output."""

    def __init__(self, run: Run, budget: int, spare: Batch | None) -> None:
        self.run, self.budget, self.spare = run, budget, spare
        self.outputs = {
            tap: axes[0]
            for tap in run.outputs
            if tap not in run.evidence.nondeterministic | run.evidence.rerouted
            and run.mixed(tap)
            and (axes := carrying_axes(run, tap))
        }  # with the axis that carries the samples
        self.pairs: dict[Tap, set[tuple[int, int]]] = {tap: set() for tap in self.outputs}
        self._cleared: set[int] = set()

    def search(self, tap: Tap) -> None:
        """Replace suspects until a pair of this output is verified, or the budget is spent."""
        for row, suspects in self._suspects(tap):
            left = [sample for sample in suspects if sample not in self._cleared]
            first = True
            while left and self.budget > 0 and not self.pairs[tap]:
                part = left[: 1 if first else max(1, len(left) // 2)]
                moved = self._replace(part)
                left = part if row in moved.get(tap, ()) and len(part) > 1 else left[len(part) :]
                first = False
            if self.pairs[tap] or self.budget <= 0:
                return

    def _suspects(self, tap: Tap) -> Iterator[tuple[int, list[int]]]:
        """For every reaction pattern its row and who may have moved it, likeliest first; short lists first."""
        evidence = self.run.evidence
        size, bits = evidence.size, evidence.bits
        full = (1 << bits) - 1
        rows = self._rows(tap, evidence.reached[evidence.canonical[tap]].elements).astype(np.int64)
        own = np.arange(size, dtype=np.int64)[:, None]
        # Bit b: the row moved in the one of the two passes of bit b that left its own sample alone.
        foreign = (rows & ~own | rows >> bits & own) & full
        patterns = np.unique((own << bits | foreign)[foreign != 0]).tolist()

        def order(pattern: int) -> tuple[int, bool, int]:
            row, differing = pattern >> bits, pattern & full
            return differing.bit_count(), row ^ differing >= size, pattern

        for pattern in sorted(patterns, key=order):
            row, differing = pattern >> bits, pattern & full
            unlike = {other: row ^ other for other in range(size) if not (row ^ other) & ~differing}
            # Every bit of the pattern had a mover that differs in it: the bit that leaves the fewest.
            lists = [[other for other in unlike if unlike[other] >> bit & 1] for bit in range(bits)]
            fewest = min((one for bit, one in enumerate(lists) if differing >> bit & 1), key=len)
            yield row, sorted(fewest, key=lambda other: -unlike[other].bit_count())

    def _rows(self, tap: Tap, values: np.ndarray) -> np.ndarray:
        """One row for every sample's share of an output."""
        return np.moveaxis(values, self.outputs[tap], 0).reshape(self.run.evidence.size, -1)

    def _replace(self, samples: Sequence[int]) -> dict[Tap, set[int]]:
        """One pass with ``samples`` replaced: the rows of every output that moved. Of a single sample: its pairs."""
        run = self.run
        self.budget -= 1
        moved: dict[Tap, set[int]] = {}

        def compare(layer: str, call: int, port: str, array: np.ndarray) -> None:
            tap = (layer, call, port)
            if tap in self.pairs and array.shape == run.evidence.base[tap].shape:
                rows = self._rows(tap, changed(run.evidence.base[tap], array)).any(axis=1)
                moved[tap] = set(np.flatnonzero(rows).tolist())

        # The same taps as in the passes before: other fetches may change the last bits.
        run.try_other(
            "naming samples that mix", samples, self.spare, lambda data: watch(run.session, data, run.taps, compare)
        )
        if len(samples) == 1:
            (sample,) = samples
            self._cleared.add(sample)
            for tap, rows in moved.items():
                self.pairs[tap] |= {(row, sample) for row in rows if row != sample}
        return moved
