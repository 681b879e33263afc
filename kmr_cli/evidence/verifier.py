"""Perturbed passes of one batch, and the owners that are read from them: for a few samples, or for all at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kmr_cli.arrays.changes import changed
from kmr_cli.arrays.dtypes import ArraySpec, discrete
from kmr_cli.arrays.ulp import relative, ulp_distance
from kmr_cli.batch import replacement, stress
from kmr_cli.batch.given import batch_size, number_samples
from kmr_cli.errors import ModelRunError
from kmr_cli.evidence.baseline import Baseline
from kmr_cli.evidence.owners import (
    RANDOM,
    by_elimination,
    from_bits,
    from_owners,
    hides_changes,
    owner_map,
    uneven_shares,
)
from kmr_cli.evidence.taps import Tap
from kmr_cli.evidence.words import both_ways_text, by_elimination_text, slices_text
from kmr_cli.formats.interface import Session, Taps
from kmr_cli.records import Batch, BatchIndex

Progress = Callable[[str], None]
"""Receives what is being done, for a progress line."""


@dataclass
class _Comparison:
    """What one pass with replaced samples changed, compared while it ran."""

    changes: dict[Tap, np.ndarray] = field(default_factory=dict)
    distances: dict[Tap, np.ndarray] = field(default_factory=dict)
    rerouted: set[Tap] = field(default_factory=set)
    settled: dict[Tap, BatchIndex] = field(default_factory=dict)
    batch: Mapping[str, np.ndarray] = field(default_factory=dict)
    values: dict[Tap, np.ndarray] = field(default_factory=dict)


class Verifier:
    """Runs perturbed passes of one batch and reads owners from them."""

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
        self._whole_rows = False
        specs = {tap: ArraySpec(value.shape, value.dtype) for tap, value in base.items()}
        self.baseline = Baseline(self.size, specs, base)

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
                self._make_others_extreme(found, sample)
            self._let_others_contend(found, sample)
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
                index = _routed()
            else:
                owners = from_bits(with_set[tap], with_clear[tap], bits)
                touched = (with_set[tap] | with_clear[tap]) != 0
                index = self._judged(
                    tap, self._fair(from_owners(owners, self.size, samples), owners, samples), leaks[tap]
                )
                if index.kind == "constant" and touched.any():
                    index = replace(index, kind="inconclusive")
                if index.kind in _OWNED and hides_changes(self.base[tap]):
                    silent = "all NaN, Inf or zero for every sample: ask for one at a time, which takes more passes"
                    index = BatchIndex("inconclusive", evidence=silent)
                index = replace(index, evidence=index.evidence or f"{2 * bits} passes with groups of samples replaced")
            found[tap] = dict.fromkeys(samples, index)
        self._make_others_extreme(found, samples[0])
        self._let_others_contend(found, samples[-1])
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
            return _routed()
        owners = owner_map(first.changes[tap], second.changes[tap], sample, self.size)
        index = self._fair(from_owners(owners, self.size, (sample,)), owners, (sample,))
        if index.kind == "mixed":
            reached = _rows_of_one(first.changes[tap], second.changes[tap], self.size, sample)
            if reached is not None:
                return reached
        # The smaller of an element's two dependences is the foreign one.
        leak = np.minimum(first.distances[tap], second.distances[tap])
        return self._judged(tap, index, leak, sample)

    def _fair(self, index: BatchIndex, owners: np.ndarray, samples: tuple[int, ...]) -> BatchIndex:
        """An index that has an axis, unless the samples would have uneven shares of it."""
        if index.kind not in _OWNED or index.axis is None:
            return index
        along = np.moveaxis(owners, index.axis, 0).reshape(owners.shape[index.axis], -1)
        others_shown = int((along == self.size).any(axis=1).sum())
        why = uneven_shares(index, len(along), self.size, samples, others_shown)
        return index if why is None else BatchIndex("inconclusive", evidence=why)

    def _hidden(self, tap: Tap, sample: int, index: BatchIndex) -> bool:
        return index.kind in _OWNED and hides_changes(_part(self.base[tap], index, sample))

    def _with_other_data(
        self, tap: Tap, sample: int, index: BatchIndex, second: _Comparison, third: _Comparison
    ) -> BatchIndex:
        """Whether the sample's part, once it holds other data, stays the same while the others change."""
        if tap in third.rerouted:
            return _routed()
        before, after = (_part(run.values[tap], index, sample) for run in (second, third))
        if changed(before, after).any():
            return self._judged(tap, BatchIndex("mixed"), ulp_distance(before, after))
        if hides_changes(before):
            silent = "all NaN, Inf or zero, also with other data, so no effect of the others could be seen"
            return BatchIndex("inconclusive", evidence=silent)
        return index

    def _make_others_extreme(self, found: dict[Tap, dict[int, BatchIndex]], sample: int) -> None:
        """Where a sample seems to stand elsewhere than usual, see whether that holds with the others made extreme.

        A maximum over the batch belongs to one sample here and to another there, and ordinary data leave it so.
        """
        odd = [
            tap
            for tap, value in self.base.items()
            if tap[2].startswith(self.sides) and _unusual(found[tap][sample], value, sample, self.size)
        ]
        data = stress.extreme(self.batch, [sample], self.session.inputs, self.rng) if odd else None
        if data is None:
            return
        for batch in (data, stress.mirrored(data, [sample], self.session.inputs)):
            self.progress(f"making all samples but {sample} extreme")
            doubtful = {tap: found[tap][sample] for tap in odd if found[tap][sample].kind in _OWNED}
            moved = self.baseline.moved(self.session, batch, self.taps, [sample], doubtful, stop=True)
            for tap, index in doubtful.items():
                if tap in self.baseline.last_pass.rerouted:
                    verdict = _routed()
                elif tap in moved:
                    row = slices_text(sample, index)
                    why = f"{row} changed with sample {sample} alone, but also when the others were made extreme"
                    verdict = BatchIndex("inconclusive", evidence=why)
                else:
                    continue
                # All samples share one index where all owners were found at once.
                found[tap].update({other: verdict for other, known in found[tap].items() if known is index})

    def _let_others_contend(self, found: dict[Tap, dict[int, BatchIndex]], sample: int) -> None:
        """Two passes that show who loses a place to others: an expert that takes so many of a batch, the best of it.

        In one the others all want what this sample wants. In the other the sample stands first in the batch, or last if
        that is where it stood first: who comes before it may take what it would get, whatever the others hold.
        """
        at = {
            tap: index
            for tap, by_sample in found.items()
            if tap[2].startswith(self.sides) and (index := by_sample[sample]).kind in _OWNED and index.axis is not None
        }
        if not at or self.size < 2:
            return
        verdicts = self._beside_copies(at, sample) | self._elsewhere(at, sample)
        for tap, verdict in verdicts.items():
            known = at[tap]  # all samples share one index where all owners were found at once
            found[tap].update({other: verdict for other, index in found[tap].items() if index is known})

    def _beside_copies(self, at: Mapping[Tap, BatchIndex], sample: int) -> dict[Tap, BatchIndex]:
        """Where a sample's part changes once all others are copies of it."""
        leaks: dict[Tap, np.ndarray] = {}

        def look(tap: Tap, array: np.ndarray, _shared: bool) -> None:
            if tap in at:
                before, after = (_part(value, at[tap], sample) for value in (self.base[tap], array))
                if changed(before, after).any():
                    leaks[tap] = ulp_distance(before, after)

        self.progress(f"making the others copies of sample {sample}")
        try:
            self.baseline.compare(self.session, stress.alike(self.batch, sample), self.taps, look, stop=True)
        except ModelRunError:  # such a batch is outside of what the model takes: nothing is learned
            return {}
        return {tap: self._judged(tap, BatchIndex("mixed"), leak, sample) for tap, leak in leaks.items()}

    def _elsewhere(self, at: Mapping[Tap, BatchIndex], sample: int) -> dict[Tap, BatchIndex]:
        """Where a sample holds other values, beyond rounding, once it stands first in the batch, or last."""
        place = 0 if sample else self.size - 1
        rows = np.roll(np.arange(self.size), place - sample)
        data = {name: np.ascontiguousarray(np.asarray(values)[rows]) for name, values in self.batch.items()}
        moved: set[Tap] = set()

        def look(tap: Tap, array: np.ndarray, _shared: bool) -> None:
            there = _same_places(at[tap], sample, place, self.size) if tap in at else []
            if not there or discrete(array):
                return
            before, after = _part(self.base[tap], at[tap], sample), np.take(array, there, axis=at[tap].axis)
            if relative(before, after, self.base[tap]) > _ELSEWHERE:
                moved.add(tap)

        self.progress(f"putting sample {sample} at another place of the batch")
        try:
            self.baseline.compare(self.session, data, self.taps, look, stop=True)
        except ModelRunError:
            return {}
        where = "first" if place == 0 else "last"
        text = f"sample {sample} has other values where it stands {where} in the batch: its place, or who is before it"
        return {tap: BatchIndex("inconclusive", evidence=text) for tap in moved - self.random_taps()} if moved else {}

    def _judged(self, tap: Tap, index: BatchIndex, leak: np.ndarray, sample: int | None = None) -> BatchIndex:
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


_OWNED = ("separated", "merged", "moved", "reordered")
_ELSEWHERE = 1e-3
"""Of the largest value: no kernel's rounding, unless a model makes it larger many times."""
_LAST_BITS = 64
"""ULP up to which a difference is reported as one of last bits: kernels that regroup a sum stay well below."""


def _routed() -> BatchIndex:
    return BatchIndex("routed", evidence="the shape here changes with the samples' content")


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


def _unusual(index: BatchIndex, value: np.ndarray, sample: int, size: int) -> bool:
    """Whether an index claims another place for a sample than its own on axis 0, or has one number to go by."""
    if index.kind not in _OWNED:
        return False
    if value.ndim == 1:
        return True
    share = len(index.owners) // size
    return index.axis != 0 or set(index.owners[sample * share : (sample + 1) * share]) != {sample}


def _same_places(index: BatchIndex, sample: int, place: int, size: int) -> list[int]:
    """Where along its axis a sample's slices would lie if it stood at another place of the batch; empty if unknown."""
    own = [slot for slot, owner in enumerate(index.owners) if owner == sample]
    if own == list(range(sample * len(own), (sample + 1) * len(own))):
        return list(range(place * len(own), (place + 1) * len(own)))
    if own == list(range(sample, size * len(own), size)):
        return list(range(place, size * len(own), size))
    return []


def _part(value: np.ndarray, index: BatchIndex, sample: int) -> np.ndarray:
    places = [place for place, owner in enumerate(index.owners) if owner == sample]
    part: np.ndarray = np.take(value, places, axis=index.axis)
    return part
