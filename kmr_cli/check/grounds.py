"""What a check rests on, as far as the check itself knows: rules, masks, ways, and what of the policy was used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kmr_cli.check.run import Run
from kmr_cli.config.masks import Mask
from kmr_cli.config.policy import LEFT_OUT, Policy, rules_of
from kmr_cli.formats.interface import TwoWaySession
from kmr_cli.records import Finding, Grounds, SkippedRule
from kmr_cli.rules import RULES, Rule


def grounds(run: Run, policy: Policy, masks: Sequence[Mask], findings: Sequence[Finding]) -> Grounds:
    """Rules that were looked at or not, masks, ways into the model, and the lines of the policy that mattered.

    Args:
        run: the check, done.
        policy: which rules count, and what is by design.
        masks: that were asked for or are implied.
        findings: after the policy.
    """
    family = rules_of("check-batch-axis")
    skipped = [
        SkippedRule(code, run.skipped[code] if policy.counts(code) else LEFT_OUT)
        for code in family
        if not policy.counts(code) or code in run.skipped
    ]
    outputs = [name for names in run.evidence.names.items() for name in names]
    left = {one.rule for one in skipped}
    way = [run.session.way] if isinstance(run.session, TwoWaySession) else [run.info.way] if run.info.way else []
    about_masks = {code for code in family if RULES[code].needs_masks}
    return Grounds(
        methods=tuple(way),
        rules=tuple(code for code in family if code not in left),
        skipped=tuple(skipped),
        masks=tuple(_shown(mask) for mask in masks) if about_masks - left else (),
        policy=tuple(policy.used(findings, outputs)),
    )


def _shown(mask: Mask) -> str:
    """A mask as ``--mask-input`` takes it."""
    if mask.value is not None:
        return f"{mask.name}={mask.value:g}"
    return f"{mask.name}=True" if mask.hides else mask.name


def all_but(*looked_at: Rule) -> list[Rule]:
    """The other rules of a check."""
    return [RULES[code] for code in rules_of("check-batch-axis") if RULES[code] not in looked_at]


def looked_at_too(known: Grounds, policy: Policy, *looked_at: Rule) -> Grounds:
    """The same, with rules that were looked at elsewhere."""
    codes = {rule.code for rule in looked_at if policy.counts(rule.code)}
    skipped = tuple(one for one in known.skipped if one.rule not in codes)
    left = {one.rule for one in skipped}
    return replace(
        known, rules=tuple(code for code in rules_of("check-batch-axis") if code not in left), skipped=skipped
    )
