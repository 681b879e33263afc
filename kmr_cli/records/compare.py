"""What a comparison of two models says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kmr_cli.records.check import Basis, Finding, Verdict
from kmr_cli.records.deprecated import deprecated
from kmr_cli.records.grounds import Grounds
from kmr_cli.records.model import Tap
from kmr_cli.records.shown import Shown


@dataclass(frozen=True)
class Difference(Finding):
    """A finding of a comparison.

    Attributes:
        where: samples concerned; empty where it is not a matter of samples.
        size: of the difference: the largest absolute one, or if not ``exact`` its estimated root mean square.
        tolerance: what was allowed, in the same terms.
        exact: from the values themselves, not from sketches.
        counterpart: path of the baseline's layer, where it has another there.
    """

    where: tuple[int, ...] = ()
    size: float | None = None
    tolerance: float | None = None
    exact: bool = False
    counterpart: str | None = None


@dataclass(frozen=True)
class OutputAgreement:
    """How one output of a model compares to the baseline's: figures as in :class:`Difference`.

    Attributes:
        name: the output's.
        agrees: None where the values could not be compared.
        size: 0 where every bit is the same; None where no number says how far it is off.
        tolerance: None where ``size`` is.
    """

    name: str
    agrees: bool | None
    size: float | None
    tolerance: float | None


@dataclass(frozen=True)
class MatchedCall:
    """A call of a layer, and the call of the baseline that it was compared with."""

    layer: str
    call: int
    baseline_layer: str
    baseline_call: int

    @property
    def by(self) -> Literal["path", "order"]:
        """How they were matched: by their path, or by order and shape."""
        return "path" if (self.layer, self.call) == (self.baseline_layer, self.baseline_call) else "order"


@dataclass(frozen=True)
class Connection:
    """What enters a layer, or leaves a container or the model, and the taps that it was made from.

    Attributes:
        layer, call, port: where; the layer is ``""`` for the outputs of the model.
        sources: as in :class:`TapVerdict`.
    """

    layer: str
    call: int
    port: str
    sources: tuple[Tap, ...]


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """The outcome of a comparison of a model with a baseline.

    Attributes:
        verdict: ``pass``, ``fail`` or ``inconclusive`` (an output could not be compared).
        path, format: of the model.
        baseline, baseline_format: the same of what it is compared with; ``snapshot`` is a format here.
        exact: whether whole tensors were compared, or sketches of them.
        compared: number of taps on both sides.
        by_path, by_order: how many layers were matched by their path, and how many by order and shape.
        findings: errors first, then in the order in which the layers ran.
        outputs: one for each output of the baseline.
        layers: that were compared.
        differing_calls: layers and calls that take in or return a tensor that differs by more than its tolerance, or
            that could not be compared: also where that began at another layer, which alone a finding names.
        inconclusive: what could not be compared, one line each.
        matched: what was matched with what, in the order of the model.
        unmatched: what the policy allows and no layer matches.
        unmatched_tolerances: patterns of tolerances that fit no layer and no output.
        notes: what else is worth knowing about the baseline, one line each.
        basis: what the verdict rests on.
        not_examined: what was not compared and might have been (methods, modes, ports), one line each.
        grounds: files, data, versions and rules that the verdict rests on.
        connections: of the model, where something was found at a layer and it is known what feeds what.
        connected_by: how that is known: by the ``graph`` that the file holds, or by the ``values`` of this run (the
            same content is the same tensor).
    """

    verdict: Verdict
    path: str
    format: str
    baseline: str
    baseline_format: str
    exact: bool
    compared: int
    by_path: int
    by_order: int
    findings: tuple[Difference, ...]
    outputs: tuple[OutputAgreement, ...]
    layers: tuple[str, ...]
    inconclusive: tuple[str, ...] = ()
    matched: tuple[MatchedCall, ...] = ()
    unmatched: tuple[str, ...] = ()
    unmatched_tolerances: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    basis: Basis = "evidence"
    not_examined: tuple[str, ...] = ()
    grounds: Grounds = field(default_factory=Grounds)
    differing_calls: tuple[tuple[str, int], ...] = ()
    connections: tuple[Connection, ...] = ()
    connected_by: Literal["graph", "values", ""] = ""

    unproven = deprecated("unproven", "inconclusive")

    @property
    def differing(self) -> tuple[str, ...]:
        """The layers of :attr:`differing_calls`."""
        return tuple(dict.fromkeys(layer for layer, _ in self.differing_calls))

    @property
    def unjudged(self) -> dict[str, str]:
        """Layers that no finding names and that do not agree either, and why."""
        named = {finding.layer for finding in self.findings if finding.severity != "note"}
        why = "its values differ from the baseline's too, which is reported where it begins"
        return {layer: why for layer in self.differing if layer not in named}

    def _brief(self) -> str:
        found = [f"{finding.rule} at {finding.layer!r}" for finding in self.findings if finding.severity == "error"]
        more = f": {', '.join(found[:3])}{', …' if len(found) > 3 else ''}" if found else ""
        return f"{self.verdict} {self.path!r} against {self.baseline!r}, {self.compared} tensors{more}"
