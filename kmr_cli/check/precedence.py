"""Which of several findings stands where one fault is seen in more than one way: as the rules declare it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from kmr_cli.evidence.taps import Tap
from kmr_cli.records import Finding
from kmr_cli.rules import RULES, Precedence


@dataclass(frozen=True)
class Claim:
    """What a rule says, before it is known whether another rule says it better.

    Attributes:
        finding: the finding that it becomes.
        output: the output of the model at which it shows; None where it is not about one.
        once: not beside an earlier claim of the same rule at the same call of a layer; in the model's own code, at the
            same port.
        after: layers that ran after its own, where that matters; ``""`` for the model's own outputs.
    """

    finding: Finding
    output: Tap | None = None
    once: bool = False
    after: frozenset[str] = frozenset()

    def with_samples(self, samples: tuple[tuple[int, int], ...]) -> Claim:
        """The same, with pairs (moved, changed)."""
        return replace(self, finding=replace(self.finding, samples=samples))


def resolve(claims: Iterable[Claim], separator: str) -> list[Claim]:
    """The claims that no other one supersedes, in their order. Nothing but errors is superseded.

    Args:
        claims: in the order in which they were made.
        separator: of the parts of a layer's path.
    """
    every = list(claims)
    declared = [(claim, precedence) for claim in every for precedence in RULES[claim.finding.rule].supersedes]
    left: list[Claim] = []
    said: set[tuple[str, str, int, str, bool]] = set()  # what is allowed at one output may not be at another
    for claim in every:
        finding = claim.finding
        port = "" if finding.layer else finding.port
        place = finding.rule, finding.layer, finding.call, port, finding.allowed
        if claim.once and place in said:
            continue
        if not any(_covers(one, precedence, claim, separator) for one, precedence in declared):
            left.append(claim)
            said.add(place)
    return left


def superseded_by(code: str) -> frozenset[str]:
    """Every rule whose findings one of this rule may supersede: what its fault looks like to others."""
    return frozenset(other for precedence in RULES[code].supersedes for other in precedence.codes)


def _covers(one: Claim, precedence: Precedence, other: Claim, separator: str) -> bool:
    """Whether a claim stands where, by its rule's declaration, it explains another one."""
    if other.finding.severity != "error" or other.finding.rule not in precedence.codes:
        return False
    if precedence.where == "output":
        return one.output is not None and one.output == other.output
    here, there = one.finding.layer, other.finding.layer
    inside = there == here or there.startswith(here + separator)
    return inside or (precedence.where == "onwards" and there in one.after)
