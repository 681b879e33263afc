"""The one sentence beside a verdict: what is wrong, or how far the samples of a batch are independent."""

from __future__ import annotations

from kmr_cli.records import Report, StructuralProof, unexamined_masks, unseen_layers
from kmr_cli.render.documents.findings import failing
from kmr_cli.render.documents.grounds import extent
from kmr_cli.render.escape import for_terminal
from kmr_cli.rules import RULES

_MIXED = ("mixed", "interleaved")
_OWNED = ("separated", "merged", "moved")


def headline(report: Report, *, some_rules: bool = False) -> str:
    """What the verdict claims, and no more than that.

    Args:
        report: what was found.
        some_rules: rules were left out, so that a pass says nothing about what they look for.
    """
    if report.verdict == "fail":
        return _wrong(report)
    if report.verdict == "inconclusive":
        return "not everything could be verified"
    if report.basis == "proof" and report.proof is not None and not some_rules:
        claim, *rest = proven(report.proof), *_disagree(report)
    else:
        claim, *rest = _passed(report, some_rules=some_rules)
    open_ends = (RULES[finding.rule].if_passed for finding in report.findings if not finding.allowed)
    rest += dict.fromkeys(words for words in open_ends if words is not None)
    if unexamined_masks(report.not_examined):
        rest.append("masks were not examined")
    far = extent(report) if report.basis == "evidence" or some_rules else ""
    return "; ".join([f"{claim}, {far}" if far else claim, *rest])


def proven(proof: StructuralProof) -> str:
    """``proven: samples never mix, for every input, at every batch size``."""
    return f"proven: samples never mix, {for_terminal(proof.inputs)}, {proof.sizes}"


def _disagree(report: Report) -> list[str]:
    """How far passes were run too."""
    far = extent(report)
    return [f"no pass disagrees, {far}" if far else "no pass disagrees"] if report.forward_passes else []


def _passed(report: Report, *, some_rules: bool) -> list[str]:
    """What a pass claims, and what is to be said beside it."""
    if some_rules:
        return ["no error among the rules that --select and --ignore leave"]
    mixes = [finding for finding in report.findings if finding.allowed and finding.severity == "error"]
    if mixes and all(finding.by_design for finding in mixes):
        return ["the samples of a batch mix only where that is by design in training mode"]
    if mixes:
        also = " or by design" if any(finding.by_design for finding in mixes) else ""
        return [f"the samples of a batch mix only where that is allowed{also}"]
    return _independent(report)


def _wrong(report: Report) -> str:
    failed = [RULES[finding.rule] for finding in report.findings if failing(finding)]
    worst = sorted((rule for rule in failed if rule.headline), key=lambda rule: -rule.gravity)
    said = list(dict.fromkeys(rule.headline for rule in worst if rule.headline)) or ["an error was found"]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"


def _independent(report: Report) -> list[str]:
    kinds = [tap.index.kind for tap in report.taps if tap.layer]
    rounded = any(not tap.layer and tap.index.kind in _MIXED for tap in report.taps)  # else it would be no pass
    apart = sum(not tap.layer and tap.index.kind not in (*_MIXED, *_OWNED) for tap in report.taps)  # or that be one
    inside = []
    if "routed" in kinds:
        inside.append("inside, samples are routed by what they hold")
    elif any(kind in _MIXED for kind in kinds):
        inside.append("inside, samples mix and are separated again")
    silent = sum(tap.layer != "" and tap.index.kind == "inconclusive" for tap in report.taps)
    if silent:
        inside.append(f"{'1 value' if silent == 1 else f'{silent} values'} inside did not react to any replacement")
    if apart:
        inside.append(
            f"{'1 output that carries' if apart == 1 else f'{apart} outputs that carry'} no samples is allowed"
        )
    if not inside and not rounded and not unseen_layers(report.not_examined):
        return ["the samples of a batch are independent at every layer"]
    others, last_bits = "other " if apart else "", ", except for last bits" if rounded else ""
    return [f"every {others}output depends on its own sample alone{last_bits}", *inside]
