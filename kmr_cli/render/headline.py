"""The sentences beside a verdict: what is wrong, how far samples are independent, and what agrees."""

from __future__ import annotations

from collections import Counter

from kmr_cli.records import (
    Comparison,
    OutputAgreement,
    Report,
    ScanReport,
    StructuralProof,
    unexamined_masks,
    unseen_layers,
)
from kmr_cli.render.counts import counted
from kmr_cli.render.documents.findings import failing
from kmr_cli.render.documents.grounds import extent
from kmr_cli.render.escape import for_terminal
from kmr_cli.rules import RULES

_COMPARED = {
    "pass": "nothing changed beyond the tolerances",
    "fail": "the model differs from the baseline",
    "inconclusive": "not everything could be compared",
}
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


def passes_run(report: Report) -> str:
    """``18 forward passes, batch sizes 1, 2, 3, 5; 3 layers tapped``."""
    if not report.forward_passes:
        return "no forward pass: the verdict is what the graph says"
    sizes = sorted(set(report.batch_sizes))
    tried = f"batch size {sizes[0]} alone" if len(sizes) == 1 else f"batch sizes {', '.join(map(str, sizes))}"
    passes = counted(report.forward_passes, "forward pass", "forward passes")
    layers = len({tap.layer for tap in report.taps if tap.layer})
    return f"{passes}, {tried}; {counted(layers, 'layer') if layers else 'no layer'} tapped"


def kinds_of_taps(report: Report) -> str:
    """``12 separated, 3 merged``: the most common first; empty where nothing was tapped."""
    kinds = Counter(tap.index.kind for tap in report.taps)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())


def allowances(report: Report) -> list[str]:
    """What it means that findings are allowed, a line for each rule that says so."""
    allowed = [finding for finding in report.findings if finding.allowed and not finding.by_design]
    meant = dict.fromkeys(RULES[finding.rule].if_allowed for finding in allowed)
    return [line for line in meant if line is not None]


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
    rounded = any(  # else it would be no pass
        not tap.layer and (tap.index.kind in _MIXED or tap.index.max_ulp is not None) for tap in report.taps
    )
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


def compared(result: Comparison, *, some_rules: bool = False) -> str:
    """What the verdict of a comparison claims; ``some_rules`` as above."""
    meaning = _COMPARED[result.verdict]
    if result.verdict != "pass":
        return meaning
    if some_rules or any(finding.severity == "error" for finding in result.findings):
        return "no error in the rules and layers that were selected"
    special = [rule for rule in (RULES[finding.rule] for finding in result.findings) if rule.if_passed]
    return max(special, key=lambda rule: rule.gravity).if_passed or meaning if special else meaning


def scanned(report: ScanReport) -> str:
    """What the verdict of a scan means, in one line."""
    if report.verdict == "pass":
        return "nothing known to be dangerous was found"
    rules = [RULES[finding.rule] for finding in report.findings]
    if report.verdict == "fail":
        worst = max((rule for rule in rules if rule.severity == "error"), key=lambda rule: rule.gravity)
        return worst.headline or worst.found_when
    return next(filter(None, (rule.if_passed for rule in rules)), "not everything could be judged")


def how_compared(result: Comparison) -> str:
    """``13 tensors of 6 layers compared in full; 6 matched by path``."""
    how = "in full" if result.exact else "by their sketches"
    matched = f"{result.by_path} matched by path"
    if result.by_order:
        matched += f" and {result.by_order} by order and shape"
    layers = counted(result.by_path + result.by_order, "layer")
    return f"{counted(result.compared, 'tensor')} of {layers} compared {how}; {matched}"


def agreement(output: OutputAgreement, *, exact: bool) -> str:
    """``output 'scores' agrees: off by at most 1e-07, tolerance 1e-05``."""
    name = f"output '{for_terminal(output.name)}'"
    if output.agrees is None:
        return f"{name} was not compared"
    verb = "agrees" if output.agrees else "differs"
    if output.size is None:
        return f"{name} {verb}"
    if not output.agrees and output.size <= (output.tolerance or 0):
        return f"{name} differs in its layout, not in its values"
    if output.size == 0:
        return f"{name} is the same, bit for bit"
    measure = "at most" if exact else "about"
    return f"{name} {verb}: off by {measure} {output.size:.3g}, tolerance {output.tolerance or 0:.3g}"
