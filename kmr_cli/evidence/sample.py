"""The part of every tapped tensor that belongs to given samples, verified to be theirs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from kmr_cli.arrays.dtypes import ArraySpec
from kmr_cli.batch.given import batch_size
from kmr_cli.batch.given_input import Notice
from kmr_cli.errors import LayerError
from kmr_cli.evidence.by_proof import proven_index
from kmr_cli.evidence.observed import Progress
from kmr_cli.evidence.origins import inputs_of_calls
from kmr_cli.evidence.owners import RANDOM as RANDOM
from kmr_cli.evidence.taps import Tap
from kmr_cli.evidence.verifier import Verifier
from kmr_cli.formats.interface import Session, Taps
from kmr_cli.proof.verdict import Proof
from kmr_cli.records import Batch, BatchIndex, Record


def take_samples(
    session: Session,
    batch: Batch,
    taps: Taps,
    samples: Sequence[int],
    *,
    verify: bool = True,
    seed: int = 0,
    spare: Batch | None = None,
    progress: Progress = lambda _: None,
    notice: Notice = lambda _: None,
    proof: Proof | None = None,
) -> tuple[Record, ...]:
    """Capture the taps, verify whose every slice is, and cut out what belongs to each sample.

    One pass captures. Where the graph of the model proves whose every value that was asked for is, that is all. With
    ``verify``, one more per sample (it alone is kept, all others are replaced), and a
    second one per sample (it alone is replaced) only where the first leaves a doubt, and a third one (both) only where
    the sample's own part is all NaN, Inf or zero, which hides what the others do, and two with the others
    made extreme only where a sample stands elsewhere than at its own place on axis 0. Two more where a part seems to be
    the sample's own, with the others copies of it, and with it at another place: who loses an expert to others shows
    there. For many samples 2·⌈log2 B⌉ passes find all owners at once. A value found to depend on several samples is
    checked against one unchanged pass, so that chance is not called a dependence. Where layers run several times in a
    model of several inputs, one pass for each input tells which of the calls is whose.

    Args:
        session: the loaded model.
        batch: the inputs.
        taps: what to observe.
        samples: indices into the batch, each in ``[0, B)``.
        verify: whether to run the extra passes.
        seed: of the replacement data.
        spare: further rows of the same inputs, preferred as replacement data.
        progress: told before every pass.
        notice: told what the user should know.
        proof: of the model's own graph, where there is one.

    Returns:
        For every tap in the order it ran, one record per sample.
    """
    base, found = find_owners(
        session, batch, taps, samples, verify=verify, seed=seed, spare=spare, progress=progress, proof=proof
    )
    size = batch_size(batch)
    inputs: dict[tuple[str, int], tuple[str, ...]] = {}
    if verify:
        inputs = inputs_of_calls(session, batch, taps, base, seed=seed, spare=spare, progress=progress)
    records = []
    for tap in list(base):
        value = base.pop(tap)  # so that of what is cut, and of what nobody asked for, nothing is held twice
        if tap[2].startswith(taps.sides):
            mine = [
                replace(_cut(tap, value, found[tap][sample], sample, size), inputs=inputs.get(tap[:2], ()))
                for sample in samples
            ]
            # Where no axis separates the samples the whole tensor stands for all of them, once.
            whole = next((number for number, record in enumerate(mine) if record.sample is None), None)
            records += [record for number, record in enumerate(mine) if record.sample is not None or number == whole]
    for line in _warnings(records):
        notice(line)
    return tuple(records)


def find_owners(
    session: Session,
    batch: Batch,
    taps: Taps,
    samples: Sequence[int],
    *,
    verify: bool = True,
    seed: int = 0,
    spare: Batch | None = None,
    progress: Progress = lambda _: None,
    repeat: bool = False,
    proof: Proof | None = None,
) -> tuple[dict[Tap, np.ndarray], dict[Tap, dict[int, BatchIndex]]]:
    """The whole tensor at every tap, and for each of ``samples`` its batch index; see :func:`take_samples`.

    With ``verify`` both ends of every layer are in the result, whatever ``taps.sides`` says. With ``repeat`` the batch
    is run again as it is, also where nothing speaks of chance: where values differ then, the evidence says so. No pass
    is run where ``proof`` tells whose every value of ``taps.sides`` is; where it tells some, it settles what they leave
    open.
    """
    size = batch_size(batch)
    progress("running the model")
    base: dict[Tap, np.ndarray] = {}
    # The in-ports are captured with the out-ports: only what came in tells a constant from a silent unit.
    both_sides = replace(taps, sides=("in", "out")) if verify and size > 1 else taps
    session.capture(batch, both_sides, _keep_into(base), stop=True)
    refuse_missing(base, taps)
    verifier = Verifier(session, batch, both_sides, taps.sides, base, seed, spare, progress)
    random = verifier.random_taps() if repeat else set()
    proven = _proven(proof, base, samples, size) if proof is not None and verify and size > 1 else {}
    if size == 1:
        found = {tap: {0: _lone(value)} for tap, value in base.items()}
    elif not verify:
        found = {tap: {sample: _assumed(value, size) for sample in samples} for tap, value in base.items()}
    elif proven and all(tap in proven for tap in base if tap[2].startswith(taps.sides)):
        found = {tap: proven.get(tap) or {sample: _assumed(base[tap], size) for sample in samples} for tap in base}
    elif len(samples) > 2 * math.ceil(math.log2(size)):
        found = verifier.all_owners(tuple(samples))
    else:
        found = verifier.one_by_one(samples)
    for tap, known in proven.items():
        if any(index.kind in ("inconclusive", "constant") for index in found[tap].values()):
            found[tap] = known
    for tap in random:
        found[tap] = dict.fromkeys(found[tap], BatchIndex("inconclusive", evidence=RANDOM))
    return base, found


def _proven(
    proof: Proof, base: Mapping[Tap, np.ndarray], samples: Sequence[int], size: int
) -> dict[Tap, dict[int, BatchIndex]]:
    """Tap -> its batch index for every sample, where the graph tells."""
    result: dict[Tap, dict[int, BatchIndex]] = {}
    for tap, value in base.items():
        spec = ArraySpec(value.shape, value.dtype)
        known = {sample: index for sample in samples if (index := proven_index(proof, tap, spec, size, sample))}
        if len(known) == len(samples):
            result[tap] = known
    return result


def _keep_into(base: dict[Tap, np.ndarray]) -> Callable[[str, int, str, np.ndarray], None]:
    def keep(layer: str, call: int, port: str, array: np.ndarray) -> None:
        base[layer, call, port] = np.array(array, copy=True, order="C")

    return keep


def refuse_missing(base: Iterable[Tap], taps: Taps) -> None:
    """Refuse layers that held nothing on a batch.

    Args:
        base: the taps that ran.
        taps: that were asked for.

    Raises:
        LayerError: there is none, or not of the one layer that was asked for.
    """
    base = list(base)
    ran: dict[str, set[int]] = {layer: set() for layer in taps.layers}
    for layer, call, _ in base:
        ran.setdefault(layer, set()).add(call)
    for layer, calls in ran.items():
        if calls or len(ran) > 1:
            continue
        if taps.calls is None:
            raise LayerError(f"layer {layer!r} did not run on this batch, or held no tensors")
        raise LayerError(f"layer {layer!r} has no call {taps.calls[0]} on this batch", "calls count from 0")
    if not base:
        raise LayerError("none of the chosen layers ran on this batch")


def _lone(value: np.ndarray) -> BatchIndex:
    axis = 0 if value.ndim and value.shape[0] == 1 else None
    return BatchIndex("separated", axis, (0,) if axis == 0 else (), "the batch holds this one sample only")


def _assumed(value: np.ndarray, size: int) -> BatchIndex:
    if value.ndim and value.shape[0] == size:
        return BatchIndex("inconclusive", 0, tuple(range(size)), "assumed from the shape (--no-verify)")
    return BatchIndex("inconclusive", evidence="not known from the shape (--no-verify)")


def _cut(tap: Tap, value: np.ndarray, index: BatchIndex, sample: int, size: int) -> Record:
    """The sample's part of a value, or the whole where no axis tells it."""
    layer, call, port = tap
    places = [place for place, owner in enumerate(index.owners) if owner == sample]
    if index.axis is None or not places:
        # What mixes or stayed silent is shown by position, where the shape allows it, and said to be inconclusive.
        if index.kind in ("mixed", "inconclusive") and value.ndim and value.shape[0] == size:
            # Of a value with one number a sample this is an array without dimensions, where value[sample] is none.
            own = value[sample : sample + 1].reshape(value.shape[1:])
            return Record(layer, call, port, own, value.shape, index, sample)
        return Record(layer, call, port, value, value.shape, index)
    part = np.take(value, places, axis=index.axis)
    if len(places) == 1:
        part = np.squeeze(part, axis=index.axis)
    return Record(layer, call, port, part, value.shape, index, sample)


def _warnings(records: Sequence[Record]) -> list[str]:
    lines = []
    for record in records:
        where = f"{record.layer} {record.port}"
        if record.index.kind == "mixed":
            lines.append(f"{where}: {record.index.evidence}")
        elif record.index.kind == "interleaved":
            lines.append(f"{where}: {record.index.evidence}; the whole tensor is shown")
    return list(dict.fromkeys(lines))
