"""What the structural proof says of the taps of a check."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kmr_cli.evidence.by_proof import owner_at
from kmr_cli.evidence.taps import Tap
from kmr_cli.proof.owners import Free, Own, Routed
from kmr_cli.proof.verdict import Claim, Proof
from kmr_cli.records.proof import SEPARATE

_ROW = re.compile(r"\.\d+(\.(values|row_splits\d*|indices|shape))?$")
"""After the name of a ragged or sparse output: which sample's row."""
NO_GRAPH = "the format provides no graph to prove it by"
"""Why there is no proof, where nothing better is known."""


@dataclass
class Structure:
    """A proof beside the taps of a run.

    Attributes:
        proof: of the graph that the file holds.

    Its methods take the names of the outputs, by port.
    """

    proof: Proof
    _claims: dict[str, list[Claim]] = field(init=False)

    def __post_init__(self) -> None:
        self._claims = {}
        for claim in self.proof.claims:
            self._claims.setdefault(claim.output, []).append(claim)

    def claim(self, names: Mapping[str, str], tap: Tap) -> Claim | None:
        """What is claimed of an output of the model; None where the graph has no single one of its name.

        The graph returns a ragged or sparse tensor in parts, of which a sample's row is none: then what is claimed of
        the part that holds the values, unless that is whose they are.
        """
        if tap[0]:
            return None
        name = names.get(tap[2], tap[2])
        claims = self._claims.get(name, [])
        if len(claims) == 1:
            return claims[0]
        claims = self._claims.get(f"{_ROW.sub('', name)}.values", []) if not claims else []
        return claims[0] if len(claims) == 1 and claims[0].answer not in SEPARATE else None

    def separate(self, names: Mapping[str, str], tap: Tap) -> bool:
        """Whether no sample can reach another's part of an output, and neither place nor number of samples shows."""
        claim = self.claim(names, tap)
        return claim is not None and claim.answer in SEPARATE

    def owned(self, names: Mapping[str, str], tap: Tap) -> bool:
        """The same, of an output that holds something of the samples, as far as the graph tells."""
        claim = self.claim(names, tap)
        return self.separate(names, tap) and claim is not None and isinstance(claim.owner, Own)

    def owner(self, names: Mapping[str, str], tap: Tap) -> Own | Free | None:
        """Whose a value is, at any tap; None where that is not decided, or the value is overwritten later."""
        if tap[0]:
            return owner_at(self.proof, tap)
        claim = self.claim(names, tap)
        return claim.owner if claim is not None and isinstance(claim.owner, (Own, Free)) else None

    def routed(self, names: Mapping[str, str], tap: Tap) -> Routed | None:
        """From where on what the samples hold decides which row is whose, at any tap; None where nothing does."""
        claim = self.claim(names, tap)
        found = self.proof.owners
        owner = found.of.get(found.graph.taps.get(tap, "")) if tap[0] else claim and claim.owner
        return owner if isinstance(owner, Routed) else None

    def meets(self, outputs: Iterable[Tap], names: Mapping[str, str]) -> list[tuple[Tap, Claim]]:
        """The outputs in which the graph lets samples meet, each with what is claimed of it."""
        found = [(tap, self.claim(names, tap)) for tap in outputs]
        return [(tap, claim) for tap, claim in found if claim is not None and claim.answer == "meet"]

    def covers(self, size: int) -> bool:
        """Whether the claims are about batches of this size."""
        if self.proof.batch is not None:
            return size == self.proof.batch
        least, most = self.proof.range
        return least <= size and (most is None or size <= most)
