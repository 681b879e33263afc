"""What every sample has of a value, batch after batch: where its part stands, and how that is known."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from kmr_cli.arrays.changes import differs
from kmr_cli.arrays.dtypes import ArraySpec
from kmr_cli.batch import replacement
from kmr_cli.batch.given import batch_size
from kmr_cli.batch.words import count_samples, dtype_name, name_samples, show_shape
from kmr_cli.errors import ModelRunError, ProofError
from kmr_cli.evidence.by_proof import proven_index
from kmr_cli.evidence.observed import Progress
from kmr_cli.evidence.sample import find_owners, refuse_missing
from kmr_cli.evidence.taps import Tap
from kmr_cli.formats.interface import Session, Taps
from kmr_cli.proof.verdict import Proof
from kmr_cli.records import Batch, BatchIndex, DumpedValue

_KINDS = ("separated", "merged", "moved")
"""Of a batch index that stands in the order of the samples: what has another order may have yet another next time."""


def shares(
    session: Session,
    batch: Batch,
    taps: Taps,
    *,
    verify: bool = True,
    seed: int = 0,
    spare: Batch | None = None,
    progress: Progress = lambda _: None,
    proof: Proof | None = None,
) -> tuple[DumpedValue, ...]:
    """Which part of every value belongs to which sample, for all batches of the size of this one.

    One pass, of which one sample's part is kept, and for what the graph of the model proves one more with all other
    samples replaced, which must not contradict it. For the values that it leaves open, passes with other samples
    replaced, as for the first sample, one in the middle and the last: what they show has to be the same for the three.
    A batch of one sample needs none: everything is that sample's.

    Args:
        session: the loaded model.
        batch: the first of them.
        taps: what is asked for.
        verify: find out whose the values are; else trust the shape.
        seed: of the replacement data.
        spare: further rows of the inputs, preferred as replacement data.
        progress: told before every pass.
        proof: of the model's own graph, where there is one.

    Returns:
        One for every tap, in the order in which they ran; those without a part for every sample say why.

    Raises:
        LayerError: none of the layers ran.
        ProofError: a pass contradicts the proof: a bug in this program.
    """
    size = batch_size(batch)
    specs: dict[Tap, ArraySpec] = {}
    claims = _Claims(size, proof if verify and size > 1 else None)

    def note(layer: str, call: int, port: str, array: np.ndarray) -> None:
        tap = (layer, call, port)
        specs[tap] = ArraySpec(array.shape, array.dtype)
        claims.keep(tap, array)

    progress("running the model")
    session.capture(batch, taps, note, stop=True)
    refuse_missing(specs, taps)
    if size == 1 or not verify:
        return tuple(_value(tap, spec, size, (_unverified(spec, size),), (0,)) for tap, spec in specs.items())
    progress(f"replacing all samples but {claims.sample}")
    claims.hold(session, batch, taps, np.random.default_rng([seed, 1]), spare)
    samples = tuple(sorted({0, size // 2, size - 1}))
    known = {tap: _proven(proof, tap, spec, size, samples) for tap, spec in specs.items()}
    open_ = [tap for tap, indices in known.items() if not indices]
    if open_:
        layers = tuple(dict.fromkeys(layer for layer, _, _ in open_))
        narrow = Taps(layers, taps.calls, taps.sides)
        _, found = find_owners(
            session, batch, narrow, samples, seed=seed, spare=spare, progress=progress, proof=proof
        )  # fmt: skip
        for tap in open_:
            known[tap] = tuple(found[tap][sample] for sample in samples) if tap in found else (_GONE,)
    return tuple(_value(tap, spec, size, known[tap], samples) for tap, spec in specs.items())


class _Claims:
    """What the proof says of one sample, held against a pass in which all others are replaced."""

    def __init__(self, size: int, proof: Proof | None) -> None:
        self.sample = size // 2
        self._size, self._proof = size, proof
        self._parts: dict[Tap, tuple[int, list[int], np.ndarray]] = {}

    def keep(self, tap: Tap, array: np.ndarray) -> None:
        """Keep the part that is the sample's by the proof; of an unchanged pass."""
        if self._proof is None:
            return
        spec = ArraySpec(array.shape, array.dtype)
        index = proven_index(self._proof, tap, spec, self._size, self.sample)
        if index is not None and index.axis is not None:
            places = [place for place, owner in enumerate(index.owners) if owner == self.sample]
            self._parts[tap] = index.axis, places, np.ascontiguousarray(np.take(array, places, index.axis))

    def hold(self, session: Session, batch: Batch, taps: Taps, rng: np.random.Generator, spare: Batch | None) -> None:
        """Run the others replaced; where that shows in the sample, rule out chance and what earlier passes left.

        Raises:
            ProofError: it is neither.
        """
        if not self._parts:
            return
        others = [sample for sample in range(self._size) if sample != self.sample]
        try:
            reached = self._differing(session, replacement.replace(batch, others, session.inputs, rng, spare), taps)
        except ModelRunError:  # it refuses values of several samples in one
            reached = self._differing(session, replacement.copies(batch, others), taps)
        if reached and (false := reached - self._differing(session, batch, taps)):
            layer, _, port = min(false)
            raise ProofError(
                f"internal error: the proof claims for {port} of layer {layer!r} that each part of it is one sample's,"
                " and a pass contradicts it",
                "please report it, with the model if you can; --no-verify takes the rows by their place",
            )

    def _differing(self, session: Session, batch: Batch, taps: Taps) -> set[Tap]:
        found: set[Tap] = set()

        def look(layer: str, call: int, port: str, array: np.ndarray) -> None:
            tap = (layer, call, port)
            if tap in self._parts:
                axis, places, before = self._parts[tap]
                fits = axis < array.ndim and max(places) < array.shape[axis]
                after = np.take(array, places, axis) if fits else None
                if after is None or after.shape != before.shape or differs(before, after):
                    found.add(tap)

        session.capture(batch, taps, look, stop=True)
        return found


_GONE = BatchIndex("routed", evidence="it ran in one of two passes of the same batch, and not in the other")


def rows_of(array: np.ndarray, value: DumpedValue, size: int) -> np.ndarray | None:
    """The parts of all samples of a batch, in the order of the samples.

    Args:
        array: the whole tensor.
        value: what is known of it.
        size: number of samples.

    Returns:
        ``(size, *value.shape)``, contiguous; None where the tensor is another one than it was in the first batch.
    """
    if dtype_name(array.dtype) != value.dtype:
        return None
    if value.axis is None:
        return np.ascontiguousarray(array[None]) if array.shape == value.shape and size == 1 else None
    axis, share = value.axis, value.outer * value.inner
    if axis >= array.ndim or array.shape[axis] != share * size:
        return None
    before, behind = array.shape[:axis], array.shape[axis + 1 :]
    if (*before, *((share,) if share > 1 else ()), *behind) != value.shape:
        return None
    parts = array.reshape(*before, value.outer, size, value.inner, *behind)
    return np.ascontiguousarray(np.moveaxis(parts, axis + 1, 0)).reshape(size, *value.shape)


def _proven(
    proof: Proof | None, tap: Tap, spec: ArraySpec, size: int, samples: Sequence[int]
) -> tuple[BatchIndex, ...]:
    """Its batch index for each of these samples by the graph alone; nothing where that does not tell."""
    if proof is None:
        return ()
    found = [index for sample in samples if (index := proven_index(proof, tap, spec, size, sample)) is not None]
    return tuple(found) if len(found) == len(samples) else ()


def _unverified(spec: ArraySpec, size: int) -> BatchIndex:
    if size == 1:
        axis = 0 if spec.shape[:1] == (1,) else None
        return BatchIndex("separated", axis, (0,) * (axis is not None), "each sample was run alone")
    if spec.shape[:1] == (size,):
        return BatchIndex("separated", 0, tuple(range(size)), "assumed from the shape (--no-verify)")
    shape = show_shape(spec.shape)
    return BatchIndex("inconclusive", evidence=f"its shape {shape} does not tell {count_samples(size)} apart")


def _value(tap: Tap, spec: ArraySpec, size: int, indices: Sequence[BatchIndex], samples: Sequence[int]) -> DumpedValue:
    """What is known of a value, from its batch index as each of these samples shows it."""
    dtype = dtype_name(spec.dtype)
    bad = next((index for index in indices if index.kind not in _KINDS), None)
    index = bad or indices[0]

    def left_out(why: str) -> DumpedValue:
        return DumpedValue(
            *tap, spec.shape, dtype, None, 1, 1, index.kind, index.evidence, index.proven, left_out=why
        )  # fmt: skip

    if bad is not None:
        return left_out(_why(bad))
    if index.axis is None:
        return DumpedValue(*tap, spec.shape, dtype, None, 1, 1, index.kind, index.evidence)
    found = {_pattern(one, sample, size) for one, sample in zip(indices, samples, strict=True)}
    pattern = next(iter(found))
    if len(found) != 1 or pattern is None:
        return left_out("its samples do not stand in their own order, and may stand in another one in the next batch")
    axis, outer, inner = pattern
    share = outer * inner
    shape = (*spec.shape[:axis], *((share,) if share > 1 else ()), *spec.shape[axis + 1 :])
    proven = all(one.proven for one in indices)
    evidence = index.evidence
    if proven:
        evidence = "no operator on the way lets samples meet, for every input"
    elif len(samples) > 1:
        evidence = f"verified on the first batch of {size}, {name_samples(samples)}: {index.evidence}"
    return DumpedValue(*tap, shape, dtype, axis, outer, inner, index.kind, evidence, proven)


def _pattern(index: BatchIndex, sample: int, size: int) -> tuple[int, int, int] | None:
    """(axis, outer, inner) of :class:`kmr_cli.proof.owners.Own`; None where this sample's places are no such ones."""
    places = [place for place, owner in enumerate(index.owners) if owner == sample]
    if index.axis is None or not places or len(places) * size != len(index.owners):
        return None
    inner = next((number for number, place in enumerate(places) if place != places[0] + number), len(places))
    outer, rest = divmod(len(places), inner)
    regular = [(block * size + sample) * inner + one for block in range(outer) for one in range(inner)]
    return (index.axis, outer, inner) if not rest and places == regular else None


def _why(index: BatchIndex) -> str:
    reasons: Mapping[str, str] = {
        "constant": "no sample's content enters it: it is the same for all",
        "reordered": "its samples stand in another order, which may be yet another in the next batch",
    }
    return reasons.get(index.kind) or index.evidence or f"nothing shows whose it is ({index.kind})"


def ran_otherwise(wanted: Collection[Tap], seen: Collection[Tap]) -> str | None:
    """What a batch did otherwise than the first one; None where it ran the same taps."""
    for tap in wanted:
        if tap not in seen:
            return f"{tap[0]!r} {tap[2]} (call {tap[1]}) did not run on this batch, but on the first one"
    for tap in seen:
        if tap not in wanted:
            return f"{tap[0]!r} {tap[2]} (call {tap[1]}) runs on this batch, but did not on the first one"
    return None
