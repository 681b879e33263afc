"""What a comparison rests on, as far as it knows itself: rules, and what of the policy and tolerances was used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kmr_cli.config.policy import LEFT_OUT, Policy, rules_of
from kmr_cli.config.tolerance import EVERY, Tolerance, Tolerances
from kmr_cli.records import Finding, Grounds, SkippedRule


def grounds(policy: Policy, tolerances: Tolerances, findings: Sequence[Finding], unused: Sequence[str]) -> Grounds:
    """Rules that were looked at or not, and the lines of policy and tolerances that mattered.

    Args:
        policy: which rules count.
        tolerances: as given.
        findings: after the policy.
        unused: patterns of tolerances that fit nothing.
    """
    family = rules_of("compare")
    used = (f"tolerance {line}" for line in _lines(tolerances, unused))
    return Grounds(
        rules=policy.counting("compare"),
        skipped=tuple(SkippedRule(code, LEFT_OUT) for code in family if not policy.counts(code)),
        policy=(*policy.used(findings), *used),
    )


def _lines(tolerances: Tolerances, unused: Sequence[str]) -> Iterator[str]:
    layers = [(pattern, tolerance) for pattern, tolerance in tolerances.layers if pattern not in unused]
    for pattern, tolerance in [(EVERY, tolerances.general), *layers]:
        if tolerance != Tolerance():
            numbers = {"rtol": tolerance.rtol, "atol": tolerance.atol, "ulp": tolerance.ulp}
            given = [f"{name} {number:g}" for name, number in numbers.items() if number is not None]
            yield f"{pattern} {', '.join(given)}"
