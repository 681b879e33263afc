"""The one sentence beside a verdict: what is wrong, or how far the samples of a batch are independent."""

from __future__ import annotations

from kmr_cli.records import Report
from kmr_cli.render.documents.findings import failing

_WRONG = (
    (("KMR101", "KMR108"), "samples of a batch change each other"),
    (("KMR106",), "samples of a batch come back in another order"),
    (("KMR104", "KMR105"), "samples of a batch cannot be told apart"),
    (("KMR109",), "answers depend on the place in the batch"),
    (("KMR103", "KMR102"), "answers depend on the batch size"),
    (("KMR203",), "a mask meets the wrong axis"),
    (("KMR201",), "padding changes the answers"),
    (("KMR202",), "a fully masked sample has no valid answer"),
    (("KMR304",), "outputs are not finite"),
    (("KMR302",), "answers depend on earlier calls"),
    (("KMR301",), "the same batch gives different answers"),
)
"""What rules say of the model as a whole, the worst first."""
_MIXED = ("mixed", "interleaved")


def headline(report: Report, *, some_rules: bool = False) -> str:
    """What the verdict claims, and no more than that.

    Args:
        report: what was found.
        some_rules: rules were left out, so that a pass says nothing about what they look for.
    """
    if report.verdict == "fail":
        return _wrong(report)
    if report.verdict == "inconclusive":
        return "not everything could be shown either way"
    if some_rules:
        return "no error by the rules that --select and --ignore leave"
    mixes = [finding for finding in report.findings if finding.allowed and finding.severity == "error"]
    if mixes and all(finding.by_design for finding in mixes):
        return "the samples of a batch mix only where that is by design in training mode"
    if mixes:
        also = " or by design" if any(finding.by_design for finding in mixes) else ""
        return f"the samples of a batch mix only where that is allowed{also}"
    return _independent(report)


def _wrong(report: Report) -> str:
    failed = {finding.rule for finding in report.findings if failing(finding)}
    said = [words for rules, words in _WRONG if failed.intersection(rules)] or ["an error was found"]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"


def _independent(report: Report) -> str:
    kinds = [tap.index.kind for tap in report.taps if tap.layer]
    rounded = any(not tap.layer and tap.index.kind in _MIXED for tap in report.taps)  # else it would be no pass
    inside = []
    if "routed" in kinds:
        inside.append("inside, samples are routed by what they hold")
    elif any(kind in _MIXED for kind in kinds):
        inside.append("inside, samples mix and are separated again")
    silent = sum(tap.index.kind == "inconclusive" for tap in report.taps)
    if silent:
        inside.append(f"{'1 value' if silent == 1 else f'{silent} values'} inside showed nothing either way")
    if not inside and not rounded:
        return "the samples of a batch are independent at every layer"
    return "; ".join(
        [f"every output depends on its own sample alone{', but for last bits' if rounded else ''}", *inside]
    )
