"""The verdict of a check that runs nothing: what the graph of a model proves, and no more."""

from __future__ import annotations

from collections.abc import Iterator

from kmr_cli.check.grounds import all_but
from kmr_cli.check.rules.layout import OUTPUT_LAYOUT
from kmr_cli.check.rules.possible import POSSIBLE_MIX
from kmr_cli.config.policy import LEFT_OUT, Policy, rules_of
from kmr_cli.records import (
    Finding,
    Grounds,
    ModelInfo,
    OutputClaim,
    OutputVerdict,
    Report,
    SkippedRule,
    StructuralProof,
    Verdict,
)

RAN_NOTHING = "no pass was run (--proof-only)"
NOT_RUN = (
    "by passes: failures, NaN in a sample (KMR108), last bits (KMR303), masks, chance and training mode, which a"
    " proof doesn't cover (leave out --proof-only)"
)


def report_of(proof: StructuralProof, info: ModelInfo, policy: Policy) -> Report:
    """The report on a model that was not run.

    Args:
        proof: what its graph says.
        info: its description.
        policy: which rules count, and what is by design.
    """
    policy = policy.resolved([layer.path for layer in info.layers], info.separator)
    findings = policy.apply(_findings(proof, policy))
    accepted = {(one.layer, one.message) for one in findings if one.allowed}
    undecided = tuple(
        str(claim)
        for claim in proof.outputs
        if (not claim.separate or claim.answer == "constant")
        and not _allowed(claim, policy)
        and (claim.layer, _mix(claim)) not in accepted
    )
    verdict: Verdict = "pass" if proof.outputs and not undecided else "inconclusive"
    return Report(
        verdict,
        info.path,
        info.format,
        0,
        (),
        (),
        tuple(findings),
        (),
        undecided or (() if proof.outputs else ("the graph has no outputs",)),
        policy.unmatched([layer.path for layer in info.layers]),
        basis="proof",
        not_examined=(NOT_RUN,),
        grounds=_grounds(policy, findings, proof),
        proof=proof,
        outputs=tuple(
            OutputVerdict(f"out{place}", claim.output, "proof", claim) for place, claim in enumerate(proof.outputs)
        ),
    )


def _findings(proof: StructuralProof, policy: Policy) -> Iterator[Finding]:
    for place, claim in enumerate(proof.outputs):
        allowed = _allowed(claim, policy)
        if claim.answer == "meet":
            yield Finding(
                POSSIBLE_MIX.code, POSSIBLE_MIX.severity, claim.layer, 0, "out0", _mix(claim), allowed=allowed
            )  # fmt: skip
        if claim.answer == "layout":
            text = f"output {claim.output!r}: {claim.reason}"
            yield Finding(OUTPUT_LAYOUT.code, OUTPUT_LAYOUT.severity, "", 0, f"out{place}", text, allowed=allowed)


def _mix(claim: OutputClaim) -> str:
    """What the finding of a possible mix says."""
    return f"samples can mix in operator {claim.operator!r} ({claim.kind}): {claim.reason}; no pass was run to see it"


def _allowed(claim: OutputClaim, policy: Policy) -> bool:
    return policy.allows_output(claim.output)


def _grounds(policy: Policy, findings: list[Finding], proof: StructuralProof) -> Grounds:
    left = {rule.code: RAN_NOTHING for rule in all_but(POSSIBLE_MIX, OUTPUT_LAYOUT)}
    family = rules_of("check-batch-axis")
    left |= {code: LEFT_OUT for code in family if not policy.counts(code)}
    names = [claim.output for claim in proof.outputs]
    return Grounds(
        rules=tuple(code for code in family if code not in left),
        skipped=tuple(SkippedRule(code, left[code]) for code in family if code in left),
        policy=tuple(policy.used(findings, names)),
    )
