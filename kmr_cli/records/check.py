"""What a check finds out about a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from kmr_cli.records.deprecated import deprecated
from kmr_cli.records.grounds import Grounds
from kmr_cli.records.model import BatchIndex, Tap
from kmr_cli.records.proof import OutputClaim, RecordedPath, StructuralProof
from kmr_cli.records.shown import Shown

Verdict: TypeAlias = Literal["pass", "fail", "inconclusive"]
"""``fail``: an error that is not allowed; ``inconclusive``: something could not be verified."""

Basis: TypeAlias = Literal["evidence", "proof"]
"""What a verdict rests on: perturbed passes on this batch, or the graph's operators, with which no pass disagrees."""


UNEXAMINED_MASKS = "masks: "
"""How lines of :attr:`Report.not_examined` begin that name a likely mask: it passes, but not strictly."""


UNSEEN_LAYERS = "layers: "
"""How lines of :attr:`Report.not_examined` begin that say that most of a model was not looked into."""


def unseen_layers(lines: Iterable[str]) -> bool:
    """Whether most layers, or most parameters, stand where no tap could look."""
    return any(line.startswith(UNSEEN_LAYERS) for line in lines)


def unexamined_masks(lines: Iterable[str]) -> bool:
    """Whether any of what was not examined is a likely mask."""
    return any(line.startswith(UNEXAMINED_MASKS) for line in lines)


@dataclass(frozen=True)
class TapVerdict:
    """What the check found out about one tap: its shape, dtype and batch index.

    Attributes:
        layer, call, port: where; the layer is ``""`` for the outputs of the model.
        shape, dtype: of the whole tensor.
        index: which axis carries the samples.
        sources: of what enters a layer, or leaves a container or the model, the taps that it was made from: the layer
            that returned it, or all from which code between layers made it; ``("", 0, "in0")`` is the first input of
            the model. Empty where that is not known.
        tensor: its name in the graph of the model, as the file writes it; empty where no file names it.
        node: the name of the operator that returns it there; empty for what enters the graph.
    """

    layer: str
    call: int
    port: str
    shape: tuple[int, ...]
    dtype: str
    index: BatchIndex
    sources: tuple[Tap, ...] = ()
    tensor: str = ""
    node: str = ""


@dataclass(frozen=True)
class Finding:
    """One violation of a rule at one layer.

    Attributes:
        rule: its code, ``KMR101``.
        severity: ``error``, ``warning`` or ``note``.
        layer, call, port: where; the layer is ``""`` for the model's own forward code.
        message: one line.
        samples: pairs (moved, changed): the output of the one moved when the input of the other changed; empty where
            only groups were replaced.
        max_ulp: the largest difference where it is a matter of last bits.
        allowed: accepted by ``--allow``, or by design: reported, but no reason to fail.
        by_design: what a layer is there for in training mode; allowed with it.
        remedy: what to change at this layer, one line; empty where the rule's own says it best.
    """

    rule: str
    severity: Literal["error", "warning", "note"]
    layer: str
    call: int
    port: str
    message: str
    samples: tuple[tuple[int, int], ...] = ()
    max_ulp: int | None = None
    allowed: bool = False
    by_design: bool = False
    remedy: str = ""


@dataclass(frozen=True)
class Dependence:
    """Which sample's output moved when which sample's input changed.

    Attributes:
        output: the output's port.
        moved: for every replaced sample (row), whether each sample's part of the output changed (column).
        title: the output as people know it: ``output 'scores' (out0)``.
    """

    output: str
    moved: tuple[tuple[bool, ...], ...]
    title: str = ""


@dataclass(frozen=True)
class OutputVerdict:
    """What it rests on that no sample reaches another's part of one output.

    Attributes:
        port: ``out0``.
        name: the model's own.
        basis: ``proof`` where the graph shows it for every input; else what passes showed.
        claim: what the graph says of it; None where it was not asked, or knows no output of this name.
        settled: what the passes left open and the proof settles, one line each.
    """

    port: str
    name: str
    basis: Basis
    claim: OutputClaim | None = None
    settled: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Report(Shown):
    """The outcome of a check.

    Attributes:
        verdict: ``pass``, ``fail`` (an error that is not allowed) or ``inconclusive`` (something was not shown).
        path, format: of the model.
        forward_passes: how often the model ran.
        batch_sizes: every size that was tried, in order.
        taps: in the order in which they ran; the model's outputs last, with layer ``""``.
        findings: errors first.
        dependence: one picture per output.
        inconclusive: what was not verified, one line each.
        unmatched: what the policy allows and no layer matches.
        training: the model ran in training mode.
        held_passes: in how many of the passes the layers that mix by design in training mode ran in inference mode.
        basis: what the verdict rests on: ``proof`` where the graph proves every output and no pass disagrees.
        not_examined: what the check looks at where it can and did not look at here (masks, modes, methods, batch
            sizes), one line each.
        grounds: files, data, versions and rules that the verdict rests on.
        proof: what the graph says of the model; None where it was not asked, or the format provides none.
        outputs: what the verdict rests on at every output.
        claims_held: how many claims about values, inside of the model too, were checked against the passes.
        recorded: beside a pass of a model without a graph, what the operators say that ran in a few recorded passes.
    """

    verdict: Verdict
    path: str
    format: str
    forward_passes: int
    batch_sizes: tuple[int, ...]
    taps: tuple[TapVerdict, ...]
    findings: tuple[Finding, ...]
    dependence: tuple[Dependence, ...]
    inconclusive: tuple[str, ...]
    unmatched: tuple[str, ...] = ()
    training: bool = False
    held_passes: int = 0
    basis: Basis = "evidence"
    not_examined: tuple[str, ...] = ()
    grounds: Grounds = field(default_factory=Grounds)
    proof: StructuralProof | None = None
    outputs: tuple[OutputVerdict, ...] = ()
    claims_held: int = 0
    recorded: RecordedPath | None = None

    unproven = deprecated("unproven", "inconclusive")

    @property
    def unjudged(self) -> dict[str, str]:
        """Layers that the passes neither blame nor clear, and why.

        Nothing that leaves them reacted, or their samples are mixed by another layer.
        """
        if self.basis == "proof":
            return {}  # which speaks of every layer, whether something reacted there or not
        guilty = {finding.layer for finding in self.findings if finding.severity != "note"}
        found = {}
        for tap in self.taps:
            if not tap.port.startswith("out") or not tap.layer:
                continue
            if tap.index.kind in ("inconclusive", "constant"):
                found[tap.layer] = tap.index.evidence or "no replaced sample changed what leaves it"
            elif tap.index.kind in ("mixed", "interleaved") and not tap.index.max_ulp and tap.layer not in guilty:
                found[tap.layer] = "its samples are mixed, which begins at another layer"
        return found

    def _brief(self) -> str:
        found = [f"{finding.rule} at {finding.layer!r}" for finding in self.findings if finding.severity == "error"]
        more = f": {', '.join(found[:3])}{', …' if len(found) > 3 else ''}" if found else ""
        return f"{self.verdict} {self.path!r}, {len(self.taps)} taps, {self.forward_passes} passes{more}"
