"""What the owners of the outputs amount to."""

from __future__ import annotations

from dataclasses import dataclass

from kmr_cli.proof.engine import Owners, owners
from kmr_cli.proof.graph import Graph, references
from kmr_cli.proof.origin import origin
from kmr_cli.proof.owners import Each, Free, Meet, Operand, Own, Owner, Unknown, varies
from kmr_cli.proof.sizes import Range, any_of_batch, of_batch
from kmr_cli.proof.table import table
from kmr_cli.proof.vocabularies import lookup
from kmr_cli.records.proof import UNMIXED, Answer, OutputClaim, StructuralProof

CONSTANT = "it is the same whatever goes in"


@dataclass(frozen=True)
class Claim:
    """What is claimed of one output.

    Attributes:
        output: its name.
        answer: ``proven``: every row is one sample's, and depends on neither the place in the batch nor the number of
            samples. ``constant``: it holds nothing of any sample. ``meet``: samples can meet on the way. ``place``,
            ``count``: rows are kept apart, but depend on that. ``layout``: kept apart, but not as one row a sample on
            axis 0. ``state``: an earlier call may show. ``unknown``: no rule tells.
        owner: of the output.
        reason: why it is not proven, ``""`` where it is.
        operator, layer, kind: where the reason lies.
    """

    output: str
    answer: Answer
    owner: Owner
    reason: str = ""
    operator: str = ""
    layer: str = ""
    kind: str = ""

    @property
    def record(self) -> OutputClaim:
        """What of it leaves this process."""
        return OutputClaim(self.output, self.answer, self.reason, self.operator, self.layer, self.kind)


@dataclass(frozen=True)
class Proof:
    """The structural proof of a model.

    Attributes:
        claims: one for every output.
        batch: the only number of samples that it holds for; None where the file leaves it open.
        range: least and largest number of samples, where it is open.
        unknown: operators without a rule, with how often they stand in the graph.
        owners: of every value, for who wants to know more.
    """

    claims: tuple[Claim, ...]
    batch: int | None
    range: Range
    unknown: dict[str, int]
    owners: Owners

    @property
    def proven(self) -> bool:
        """Whether every output is proven, or holds none of the samples; a model without outputs is not."""
        return bool(self.claims) and all(claim.answer in UNMIXED for claim in self.claims)

    @property
    def undecided(self) -> bool:
        """Whether there is an output of which nothing is decided."""
        return any(claim.answer == "unknown" for claim in self.claims)

    @property
    def meets(self) -> tuple[Claim, ...]:
        """Outputs in which samples can meet."""
        return tuple(claim for claim in self.claims if claim.answer == "meet")

    @property
    def record(self) -> StructuralProof:
        """What of it leaves this process."""
        claims = tuple(claim.record for claim in self.claims)
        graph = self.owners.graph
        return StructuralProof(
            claims, self.batch, *self.range, tuple(sorted(self.unknown)), len(graph.operators), graph.vocabulary,
            table(), graph.shapes,
        )  # fmt: skip


def prove(graph: Graph) -> Proof:
    """Judge a model by its graph: for every input, and every batch size that the file takes."""
    found = owners(graph, lookup(graph.vocabulary))
    claims = tuple(
        _claim(graph, found, label, name) for label, argument in graph.outputs for name in references(argument)
    )
    batch = graph.batch if isinstance(graph.batch, int) else None
    return Proof(claims, batch, graph.ranges.get("batch", (1, None)), found.unknown, found)


def _claim(graph: Graph, found: Owners, label: str, name: str) -> Claim:
    owner = found.of.get(name, Unknown("no operator produces it"))
    if isinstance(owner, Meet):
        return Claim(label, "meet", owner, owner.reason, owner.operator, owner.layer, owner.kind)
    if isinstance(owner, Each):  # outside of its loop nothing is
        owner = Unknown("it belongs to one sample of a loop")
    if isinstance(owner, Unknown):
        return Claim(label, "unknown", owner, owner.reason, owner.operator, owner.layer, owner.kind)
    kinds = dict(graph.inputs)
    stored = [target for target, _ in graph.stored] + [name for name in found.written if kinds[name] != "samples"]
    if stored:
        return Claim(label, "state", owner, f"{stored[0]!r} is overwritten in every call")
    value = graph.values.get(name)
    if value is None or value.shape is None:
        if isinstance(owner, Free) and not owner.count and value is None:
            return Claim(label, "constant", owner, CONSTANT)
        return Claim(label, "unknown", owner, "the file does not declare its shape")
    if graph.batch == 1:
        return Claim(label, "unknown", owner, "at a batch size of 1 there is nothing to mix")
    if owner.count:
        where = origin(graph, found, name, lambda one: isinstance(one, (Own, Free)) and one.count)
        return Claim(label, "count", owner, "its values depend on the number of samples", *where)
    if isinstance(owner, Own):
        if owner.place:
            where = origin(graph, found, name, lambda one: isinstance(one, Own) and one.place)
            return Claim(label, "place", owner, "its values depend on a sample's place in the batch", *where)
        if any_of_batch(size for axis, size in enumerate(value.shape) if axis != owner.axis):
            return Claim(label, "count", owner, "another axis of it is as long as there are samples")
        if owner.pattern != (0, 1, 1):
            return Claim(label, "layout", owner, "it does not hold one row per sample along axis 0")
        return Claim(label, "proven", owner)
    for axis, size in enumerate(value.shape):
        spans = of_batch(size) or size == graph.batch
        if spans and varies(Operand(owner, value.shape), axis):
            return Claim(label, "place", owner, "it holds none of the samples, but differs along the batch")
    return Claim(label, "constant", owner, CONSTANT)
