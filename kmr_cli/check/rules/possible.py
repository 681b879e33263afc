"""KMR111: samples can meet in an operator, by the graph or where it runs alone, and no pass of the model showed it."""

from __future__ import annotations

from dataclasses import replace

from kmr_cli.check.precedence import Claim
from kmr_cli.check.rules.mixing import RULES as MIXING
from kmr_cli.check.rules.place import BATCH_PLACE_DEPENDENT
from kmr_cli.check.rules.sizes import BATCH_SIZE_DEPENDENT
from kmr_cli.check.run import Run
from kmr_cli.evidence.sources import Source
from kmr_cli.evidence.taps import Tap
from kmr_cli.proof.owners import Meet
from kmr_cli.proof.verdict import Claim as Proven
from kmr_cli.proof.vocabularies import lookup
from kmr_cli.rules import Rule

POSSIBLE_MIX = Rule(
    "KMR111",
    "possible-mix",
    "warning",
    "the graph lets samples meet in an operator, and no pass showed it",
    "other data, or another batch, may show what this one did not: one user's request then changes another's answer",
    "compute over the axes of one sample only; or give data to which this layer reacts, and see what the check says",
    headline="samples of a batch may change each other",
    if_passed="samples can mix in an operator, which no pass showed",
    gravity=20,
    needs_graph=True,
)
RULES = (POSSIBLE_MIX,)
_LEAKS = frozenset(rule.code for rule in MIXING)


def judge(run: Run) -> None:
    """A warning for every operator in which samples meet unseen; where it was seen, the finding names the operator."""
    if run.structure is None:
        return
    seen = {claim.output for claim in run.claims if claim.finding.rule in _LEAKS and claim.finding.severity == "error"}
    leaks = run.large.leaks if run.large is not None else ()
    for tap, claim in run.structure.meets(run.outputs, run.evidence.names):
        assert isinstance(claim.owner, Meet)
        if tap in seen or tap in leaks or run.mixed(tap):
            _explain(run, tap, claim.owner)
        elif tap not in run.evidence.nondeterministic:
            _warn(run, tap, claim.owner)
    _judge_probed(run, seen)
    for tap in run.outputs:
        told = run.structure.claim(run.evidence.names, tap)
        if told is not None and told.answer in ("place", "count") and told.operator:
            _explain_dependence(run, told)


def _judge_probed(run: Run, seen: set[Tap | None]) -> None:
    """A warning for every operator unknown to the proof in which rows met when it ran alone, and in no pass.

    Where it is known, and this use alone is not covered, it moves rows by design: what it undoes later isn't followed.
    """
    assert run.structure is not None
    known = lookup(run.structure.proof.owners.graph.vocabulary)
    met = {one.operator: one for one in run.probed if one.outcome == "met" and known(one.kind) is None}
    for tap in run.outputs:
        told = run.structure.claim(run.evidence.names, tap)
        probed = met.get(told.operator) if told is not None and told.answer == "unknown" else None
        if probed is None or tap in seen or run.mixed(tap) or tap in run.evidence.nondeterministic:
            continue
        text = f"samples can mix in operator {probed.operator!r} ({probed.kind}): {probed.seen}"
        text += f"; no pass of the model showed it at {run.title(tap)}"
        source = Source(probed.layer, 0, "out0")
        run.add(POSSIBLE_MIX, source, text, output=tap, once=True, allowed=tap in run.allowed_outputs)


def _warn(run: Run, tap: Tap, owner: Meet) -> None:
    aimed = f", nor any of {run.aimed} that were aimed at it" if run.aimed else ""
    text = f"samples can mix in {named(owner)}: {owner.reason}; no pass showed it at {run.title(tap)}{aimed}"
    source = Source(owner.layer, owner.call, "out0")
    run.add(POSSIBLE_MIX, source, text, output=tap, once=True, allowed=tap in run.allowed_outputs)


def _explain(run: Run, output: Tap, owner: Meet) -> None:
    """Name the operator in what was found of an output at its layer, around it or inside it; once."""
    text = f"; by the graph, in {named(owner)}: {owner.reason}"
    run.claims = [
        _with(claim, text)
        if claim.finding.rule in _LEAKS
        and claim.output in (None, output)
        and _near(claim.finding.layer, owner.layer, run.info.separator)
        else claim
        for claim in run.claims
    ]


def _explain_dependence(run: Run, told: Proven) -> None:
    """The same for what depends on the place in the batch or on the number of samples."""
    codes = (BATCH_PLACE_DEPENDENT.code, BATCH_SIZE_DEPENDENT.code)
    text = f"; by the graph, in operator {told.operator!r} ({told.kind}): {told.reason}"
    run.claims = [
        _with(claim, text)
        if claim.finding.rule in codes
        and (len(run.outputs) == 1 or _near(claim.finding.layer, told.layer, run.info.separator))
        else claim
        for claim in run.claims
    ]


def named(owner: Meet) -> str:
    """The operator: ``operator 'Softmax_3' (onnx.Softmax)``."""
    return f"operator {owner.operator!r} ({owner.kind})"


def _near(layer: str, other: str, separator: str) -> bool:
    """Whether one of two layers is the other, or inside it; the model's own code is around all of them."""
    inside = [(layer, other), (other, layer)]
    return layer == other or any(not outer or inner.startswith(outer + separator) for outer, inner in inside)


def _with(claim: Claim, text: str) -> Claim:
    if text in claim.finding.message:
        return claim
    return replace(claim, finding=replace(claim.finding, message=claim.finding.message + text))
