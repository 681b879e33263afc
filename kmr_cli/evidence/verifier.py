"""Perturbed passes of one batch, and the owners that are read from them: for a few samples, or for all at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.arrays.ulp import ulp_distance
from kmr_cli.batch import replacement
from kmr_cli.batch.sparse import counts
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence import contention
from kmr_cli.evidence.observed import OWNED, Observed, part, routed
from kmr_cli.evidence.owners import (
    by_elimination,
    from_bits,
    from_owners,
    hides_changes,
    owner_map,
    uneven_shares,
)
from kmr_cli.evidence.taps import Tap
from kmr_cli.evidence.words import by_elimination_text
from kmr_cli.records import Batch, BatchIndex


@dataclass
class _Comparison:
    """What one pass with replaced samples changed, compared while it ran."""

    changes: dict[Tap, np.ndarray] = field(default_factory=dict)
    distances: dict[Tap, np.ndarray] = field(default_factory=dict)
    rerouted: set[Tap] = field(default_factory=set)
    settled: dict[Tap, BatchIndex] = field(default_factory=dict)
    batch: Mapping[str, np.ndarray] = field(default_factory=dict)
    values: dict[Tap, np.ndarray] = field(default_factory=dict)


class Verifier(Observed):
    """Runs perturbed passes of one batch and reads owners from them."""

    _whole_rows = False
    """Whether the model was seen to refuse values of several samples in one."""

    def one_by_one(self, samples: Sequence[int]) -> dict[Tap, dict[int, BatchIndex]]:
        """For every tap and each of a few samples its batch index: three to seven passes a sample."""
        found: dict[Tap, dict[int, BatchIndex]] = {tap: {} for tap in self.base}
        for sample in samples:
            others = [other for other in self.numbers if other != sample]
            first = self._run(others, f"replacing all samples but {sample}", only_kept=sample)
            for tap, index in first.settled.items():
                found[tap][sample] = replace(index, evidence=by_elimination_text(self.size, sample, index))
            doubtful = [tap for tap in self.base if tap not in first.settled]
            # An in-port that was not asked for only helps to tell a constant out-port: no pass for it alone.
            if any(tap[2].startswith(self.sides) for tap in doubtful):
                second = self._run([sample], f"replacing sample {sample} alone", hold=doubtful)
                for tap in doubtful:
                    found[tap][sample] = self._from_pair(tap, sample, first, second)
                hidden = [tap for tap in doubtful if self._hidden(tap, sample, found[tap][sample])]
                if any(tap[2].startswith(self.sides) for tap in hidden):
                    third = self._run(
                        others, f"replacing all samples but {sample} again", hold=hidden, batch=second.batch
                    )
                    for tap in hidden:
                        found[tap][sample] = self._with_other_data(tap, sample, found[tap][sample], second, third)
                contention.make_others_extreme(self, found, sample)
            contention.let_others_contend(self, found, sample)
        return self._with_constants(found)

    def all_owners(self, samples: tuple[int, ...]) -> dict[Tap, dict[int, BatchIndex]]:
        """The same for many samples, all at once: two passes for every bit of a sample's number."""
        bits = math.ceil(math.log2(self.size))
        with_set = {tap: np.zeros(value.shape, np.uint32) for tap, value in self.base.items()}
        with_clear = {tap: np.zeros(value.shape, np.uint32) for tap, value in self.base.items()}
        leaks = {tap: np.zeros(value.shape, np.uint8) for tap, value in self.base.items()}
        rerouted: set[Tap] = set()
        for bit in range(bits):
            doing = f"replacing samples in groups, bit {bit + 1} of {bits}"
            first = self._run([sample for sample in self.numbers if sample >> bit & 1], doing)
            second = self._run([sample for sample in self.numbers if not sample >> bit & 1], doing)
            rerouted |= first.rerouted | second.rerouted
            for tap in self.base.keys() - rerouted:
                with_set[tap] |= first.changes[tap].astype(np.uint32) << np.uint32(bit)
                with_clear[tap] |= second.changes[tap].astype(np.uint32) << np.uint32(bit)
                leaks[tap] = np.maximum(leaks[tap], np.minimum(first.distances[tap], second.distances[tap]))
        found: dict[Tap, dict[int, BatchIndex]] = {}
        for tap in self.base:
            if tap in rerouted:
                index = routed()
            else:
                owners = from_bits(with_set[tap], with_clear[tap], bits)
                touched = (with_set[tap] | with_clear[tap]) != 0
                index = self.judged(
                    tap, self._fair(from_owners(owners, self.size, samples), owners, samples), leaks[tap]
                )
                if index.kind == "constant" and touched.any():
                    index = replace(index, kind="inconclusive")
                if index.kind in OWNED and hides_changes(self.base[tap]):
                    silent = "all NaN, Inf or zero for every sample: ask for one at a time, which takes more passes"
                    index = BatchIndex("inconclusive", evidence=silent)
                index = replace(index, evidence=index.evidence or f"{2 * bits} passes with groups of samples replaced")
            found[tap] = dict.fromkeys(samples, index)
        contention.make_others_extreme(self, found, samples[0])
        contention.let_others_contend(self, found, samples[-1])
        return self._with_constants(found)

    def _run(
        self,
        rows: Sequence[int],
        doing: str,
        *,
        only_kept: int | None = None,
        hold: Sequence[Tap] = (),
        batch: Batch | None = None,
    ) -> _Comparison:
        self.progress(doing)
        if not self._whole_rows:
            other = replacement.replace(batch or self.batch, rows, self.session.inputs, self.rng, self.spare)
            try:
                return self._compare(other, only_kept, hold)
            except ModelRunError:
                self._whole_rows = True  # it refuses values of several samples in one
        return self._compare(replacement.copies(batch or self.batch, rows), only_kept, hold)

    def _compare(
        self, batch: Mapping[str, np.ndarray], only_kept: int | None = None, hold: Sequence[Tap] = ()
    ) -> _Comparison:
        result = _Comparison(batch=batch)

        def look(tap: Tap, array: np.ndarray, _shared: bool) -> None:
            before = self.base[tap]
            if tap in hold:
                result.values[tap] = np.array(array, copy=True)
            change = changed(before, array)
            index = None if only_kept is None else by_elimination(~change, before, self.size, only_kept)
            if index is not None:  # nothing else need be known of this tap
                result.settled[tap] = index
                return
            result.changes[tap] = change
            result.distances[tap] = ulp_distance(before, array)

        # A call that did not happen this time was routed away.
        result.rerouted = self.baseline.compare(self.session, batch, self.taps, look, stop=True).rerouted
        return result

    def _from_pair(self, tap: Tap, sample: int, first: _Comparison, second: _Comparison) -> BatchIndex:
        if tap in first.rerouted or tap in second.rerouted:
            return routed()
        owners = owner_map(first.changes[tap], second.changes[tap], sample, self.size)
        index = self._fair(from_owners(owners, self.size, (sample,)), owners, (sample,))
        if index.kind == "mixed":
            reached = _rows_of_one(first.changes[tap], second.changes[tap], self.size, sample)
            if reached is not None:
                return reached
        # The smaller of an element's two dependences is the foreign one.
        leak = np.minimum(first.distances[tap], second.distances[tap])
        return self.judged(tap, index, leak, sample)

    def _fair(self, index: BatchIndex, owners: np.ndarray, samples: tuple[int, ...]) -> BatchIndex:
        """An index that has an axis, unless the samples would have uneven shares of it."""
        if index.kind not in OWNED or index.axis is None:
            return index
        along = np.moveaxis(owners, index.axis, 0).reshape(owners.shape[index.axis], -1)
        own = [index.owners.count(sample) for sample in samples]
        if any(own == [int(steps[sample]) for sample in samples] for steps in self._steps(len(along))):
            return index  # every sample has as many slices as steps
        others_shown = int((along == self.size).any(axis=1).sum())
        why = uneven_shares(index, len(along), self.size, samples, others_shown)
        return index if why is None else BatchIndex("inconclusive", evidence=why)

    def _steps(self, length: int) -> list[np.ndarray]:
        """How many steps of a ragged input, or values of a sparse one, each sample has, where all are so many."""
        lengths = [self.batch[spec.lengths] for spec in self.session.inputs if spec.lengths]
        lengths += [counts(self.batch[spec.name]) for spec in self.session.inputs if spec.sparse]
        return [steps for steps in lengths if steps.sum() == length]

    def _hidden(self, tap: Tap, sample: int, index: BatchIndex) -> bool:
        return index.kind in OWNED and hides_changes(part(self.base[tap], index, sample))

    def _with_other_data(
        self, tap: Tap, sample: int, index: BatchIndex, second: _Comparison, third: _Comparison
    ) -> BatchIndex:
        """Whether the sample's part, once it holds other data, stays the same while the others change."""
        if tap in third.rerouted:
            return routed()
        before, after = (part(run.values[tap], index, sample) for run in (second, third))
        if changed(before, after).any():
            return self.judged(tap, BatchIndex("mixed"), ulp_distance(before, after))
        if hides_changes(before):
            silent = "all NaN, Inf or zero, also with other data, so no effect of the others could be seen"
            return BatchIndex("inconclusive", evidence=silent)
        return index

    def _with_constants(self, found: dict[Tap, dict[int, BatchIndex]]) -> dict[Tap, dict[int, BatchIndex]]:
        """Where nothing changed: constant only if nothing at all came in, else nobody knows what silence means."""
        reacting, fed = set(), set()
        for (layer, call, port), by_sample in found.items():
            if port.startswith("in"):
                fed.add((layer, call))
                if any(index.kind != "constant" for index in by_sample.values()):
                    reacting.add((layer, call))
        for (layer, call, port), by_sample in found.items():
            for sample, index in by_sample.items():
                if index.kind != "constant":
                    continue
                if port.startswith("out") and (layer, call) not in fed:
                    by_sample[sample] = replace(index, evidence="no sample reaches it: nothing comes in")
                elif port.startswith("out") and (layer, call) in reacting:
                    silent = "what comes in changed with the samples, but nothing here did"
                    by_sample[sample] = replace(index, kind="inconclusive", evidence=silent)
                else:
                    silent = "no replacement changed anything here: a constant, or insensitive on this data"
                    by_sample[sample] = replace(index, kind="inconclusive", evidence=silent)
        return found


def _rows_of_one(others: np.ndarray, own: np.ndarray, size: int, sample: int) -> BatchIndex | None:
    """A sample whose own row depends on no other, though it reaches rows of others: still separated, for itself."""
    if others.ndim == 0 or others.shape[0] != size:
        return None
    rows = np.flatnonzero(~others.reshape(size, -1).any(axis=1) & own.reshape(size, -1).any(axis=1))
    if rows.tolist() != [sample]:
        return None
    reached = np.flatnonzero(own.reshape(size, -1).any(axis=1) & (np.arange(size) != sample))
    owners = tuple(sample if row == sample else -1 for row in range(size))
    listed = ", ".join(map(str, reached[:8])) + (", …" if len(reached) > 8 else "")
    return BatchIndex(
        "mixed", 0, owners, f"row {sample} depends on sample {sample} alone, which also reaches row {listed}"
    )
