"""Two snapshots and their taps in pairs: what the rules of a comparison judge, and what they have found so far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kmr_cli.compare.alignment import Alignment, Call
from kmr_cli.compare.difference import TapDifference
from kmr_cli.compare.entering import Entering
from kmr_cli.compare.pair import Pair as Pair
from kmr_cli.config.policy import Policy
from kmr_cli.evidence.taps import Tap
from kmr_cli.records import Difference, OutputAgreement, Snapshot
from kmr_cli.rules import Rule, Severity

_OWNED = ("separated", "merged", "moved", "reordered")


@dataclass
class Case:
    """A comparison in progress: what was gathered, and what the rules have found so far.

    Attributes:
        model, baseline: the snapshots.
        alignment: which calls of layers correspond.
        pairs: the taps that correspond, in the order of the model.
        outputs: whether each output agrees.
        policy: which rules count; layers named in full.
        conversion: the baseline is another model, not an earlier state of this one.
        same_data: both ran on the same values.
        findings: what was found so far.
        doubts: what the rules could not decide, one line each.
    """

    model: Snapshot
    baseline: Snapshot
    alignment: Alignment
    pairs: tuple[Pair, ...]
    outputs: tuple[OutputAgreement, ...]
    policy: Policy
    entering: Entering | None = None
    swapped: Mapping[Tap, str] = field(default_factory=dict)
    conversion: bool = False
    same_data: bool = True
    findings: list[Difference] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.partners = dict(self.alignment.pairs)
        self.order = self._order()
        self.ports: tuple[dict[Call, list[str]], ...] = ({}, {})
        for ports, snapshot in zip(self.ports, (self.model, self.baseline), strict=True):
            for tap in snapshot.taps:
                ports.setdefault((tap.layer, tap.call), []).append(tap.port)
        agree = bool(self.outputs) and all(output.agrees for output in self.outputs)
        self.lenient = self.conversion and agree and len(self.model.outputs) == len(self.baseline.outputs)
        """The outputs agree with another model's: how either gets there is its own business."""
        self.both_ends = any(port.startswith("in") for layer, _, port in self.order if layer)
        """What enters the layers was compared too, so that a layer's own doing can be told from what it was given."""

    def folded(self) -> list[tuple[tuple[Call, ...], tuple[Call, ...]]]:
        """Where one layer does the work of several: (calls in the model, calls in the baseline), the last ones a pair.

        Besides what the alignment found, calls that were matched by what they return, not by their path, and that
        take what enters others without counterpart.
        """
        found = list(self.alignment.folded)
        known = {mine[-1] for mine, _ in found}
        if self.entering is None:
            return found
        for call, other in self.alignment.renamed:
            before, added = (
                [one for one in calls if not self._holds_matched(one[0])]
                for calls in (self.entering.fused(call), self.entering.added_before(call))
            )
            if call not in known and bool(before) != bool(added):
                found.append(((*reversed(added), call), (*reversed(before), other)))
        return found

    def _holds_matched(self, layer: str) -> bool:
        """Whether a layer of either model contains one that was matched."""
        inside = layer + self.model.separator
        return any(name.startswith(inside) for pair in self.alignment.pairs for name, _ in pair)

    def _order(self) -> list[Tap]:
        """The taps that were compared and all that enters their calls, in the order in which they ran."""
        compared = {pair.model.tap for pair in self.pairs}
        calls = {tap[:2] for tap in compared if tap[0]} if self.entering else set()
        entering = {tap.tap for tap in self.model.taps if tap.port.startswith("in") and tap.tap[:2] in calls}
        return [tap.tap for tap in self.model.taps if tap.tap in compared or tap.tap in entering]

    def add(
        self, rule: Rule, tap: Tap, message: str, content: TapDifference | None = None, *,
        severity: Severity | None = None, lenient: Severity = "note", counterpart: bool = True,
    ) -> None:  # fmt: skip
        """Note a finding.

        Args:
            rule: that is broken.
            tap: where, in the model.
            message: one line.
            content: how the values differ there.
            severity: if not the rule's own.
            lenient: what an error becomes where the outputs agree with those of another model.
            counterpart: name the baseline's layer, where it is called something else.
        """
        severity = severity or rule.severity
        if self.lenient and severity == "error":
            severity = lenient
        other = self.partners.get(tap[:2], ("",))[0] if counterpart else ""
        found = Difference(rule.code, severity, *tap, message, counterpart=other if other not in ("", tap[0]) else None)
        if content is not None:
            size = content.size if math.isfinite(content.size) else None
            found = replace(found, where=content.where, exact=content.exact, size=size, tolerance=content.tolerance)
        self.findings.append(found)


def axis_moved(pair: Pair) -> bool:
    """Whether the samples lie elsewhere than in the baseline, as far as both batch indices are known."""
    now, before = pair.model, pair.baseline
    if before.index in ("inconclusive", "constant") or now.random or before.random:
        return False
    if now.index in _OWNED and before.index in _OWNED:
        # Where the shape says it already, or only the layout of two frameworks differs, it isn't a second finding.
        return now.axis != before.axis and pair.content.kind != "shape"
    if now.index == "inconclusive" and now.axis == before.axis:
        return False  # nothing speaks against the place where they were: replacing a sample left coarse values alone
    return now.index != before.index and now.index != "constant"
