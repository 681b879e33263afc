"""Whose every slice of a tapped tensor is, where the graph of the model proves it: no pass need show it."""

from __future__ import annotations

from kmr_cli.arrays.dtypes import ArraySpec
from kmr_cli.evidence.taps import Tap
from kmr_cli.evidence.words import proven_text
from kmr_cli.proof.owners import Free, Own
from kmr_cli.proof.places import owners_along
from kmr_cli.proof.verdict import Proof
from kmr_cli.records import BatchIndex, BatchIndexKind


def owner_at(proof: Proof, tap: Tap) -> Own | Free | None:
    """Whose the value at a tap of a layer is; None where that is not decided, or the value is overwritten later."""
    found = proof.owners
    name = found.graph.taps.get(tap, "")
    owner = found.of.get(name)
    return owner if isinstance(owner, (Own, Free)) and owner == found.made.get(name) else None


def proven_index(proof: Proof, tap: Tap, spec: ArraySpec, size: int, sample: int) -> BatchIndex | None:
    """The batch index of a tap by the proof alone; None where that does not tell it.

    Args:
        proof: of the model's graph.
        tap: of a layer.
        spec: of its tensor.
        size: number of samples.
        sample: whose slices the text names.
    """
    owner = owner_at(proof, tap)
    if isinstance(owner, Free):
        return BatchIndex("constant", evidence="no sample's content enters it, for every input", proven=True)
    along = None if owner is None else owners_along(owner, spec.shape, size)
    if owner is None or along is None:
        return None
    kind: BatchIndexKind = "merged" if len(along) > size else "moved" if owner.axis else "separated"
    index = BatchIndex(kind, owner.axis, tuple(along.tolist()), proven=True)
    return BatchIndex(kind, owner.axis, index.owners, proven_text(sample, index), proven=True)
