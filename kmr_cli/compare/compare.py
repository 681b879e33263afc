"""Rules over two runs of the same batch: what changed, at which layer first, for which samples, and by how much."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from typing import cast

from kmr_cli.compare.agreement import not_compared
from kmr_cli.compare.case import Case
from kmr_cli.compare.difference import Values
from kmr_cli.compare.gather import OTHER_DATA, gather
from kmr_cli.compare.grounds import grounds
from kmr_cli.compare.kinds import Kinds
from kmr_cli.compare.pair import Pair
from kmr_cli.config.policy import Policy
from kmr_cli.config.tolerance import Tolerances
from kmr_cli.records import (
    Comparison,
    Difference,
    MatchedCall,
    Snapshot,
    Verdict,
)
from kmr_cli.rules import RULES, TABLE


def compare(
    model: Snapshot,
    baseline: Snapshot,
    tolerances: Tolerances | None = None,
    *,
    policy: Policy | None = None,
    values: tuple[Values, Values] | None = None,
    conversion: bool = False,
    same_data: bool = True,
    kinds: tuple[Kinds, Kinds] | None = None,
) -> Comparison:
    """Compare two snapshots of the same batch.

    Args:
        model: what is judged.
        baseline: what it should be like.
        tolerances: how far values may be off.
        policy: which rules count.
        values: whole tensors of (model, baseline), for an exact comparison.
        conversion: the baseline is another model, not an earlier state of this one: where the outputs agree,
            differences inside aren't errors, and where the frameworks differ names mean little.
        same_data: both ran on the same values; if not (the inputs changed), values say nothing.
        kinds: path -> type of the layers of (model, baseline), where they are known: they help to match layers.

    Raises:
        LayerError: what the policy allows, or the pattern of a tolerance, is the end of several layers.
    """
    places = dict.fromkeys((*(tap.layer for tap in model.taps if tap.layer), *model.outputs))
    given = tolerances or Tolerances()
    tolerances = given.resolved(places, model.separator)
    layers = dict.fromkeys(tap.layer for tap in (*model.taps, *baseline.taps) if tap.layer)
    policy = (policy or Policy()).resolved(layers, model.separator)
    case = gather(
        model, baseline, tolerances, policy, values=values, conversion=conversion, same_data=same_data, kinds=kinds
    )
    for judge in _judges():
        judge(case)
    unmatched = policy.unmatched(layers), tolerances.unmatched(places)
    result = _concluded(case, exact=values is not None, unmatched=unmatched)
    return replace(result, grounds=grounds(policy, given, result.findings, unmatched[1]))


def _judges() -> Iterator[Callable[[Case], None]]:
    """What judges a case: one function for every file of rules that ``compare`` finds.

    They look at different things, so that none takes precedence over another; those that do, share a file.
    """
    for module in dict.fromkeys(TABLE[code] for code, rule in RULES.items() if rule.command == "compare"):
        yield import_module(module).judge


def _concluded(case: Case, *, exact: bool, unmatched: tuple[tuple[str, ...], tuple[str, ...]]) -> Comparison:
    """What was gathered and found, as the record that leaves this package."""
    findings = cast("list[Difference]", case.policy.apply(case.findings))
    inconclusive = (*(not_compared(case) if case.same_data else [OTHER_DATA]), *dict.fromkeys(case.doubts))
    failed = any(finding.severity == "error" and not finding.allowed for finding in findings)
    verdict: Verdict = "fail" if failed else "inconclusive" if inconclusive else "pass"
    matched = dict.fromkeys(call[0] for call, _ in case.alignment.pairs if call[0])
    renamed = {call[0] for call, _ in case.alignment.renamed}
    differing_calls = dict.fromkeys(
        (pair.model.layer, pair.model.call) for pair in case.pairs if _differs(pair) and pair.model.layer
    )
    unknown = {pair.model.layer for pair in case.pairs if pair.content.kind == "unknown"}
    return Comparison(
        verdict=verdict,
        path=case.model.path,
        format=case.model.format,
        baseline=case.baseline.path,
        baseline_format=case.baseline.format if case.conversion else "snapshot",
        exact=exact,
        compared=len(case.pairs),
        by_path=len(matched.keys() - renamed),
        by_order=len(renamed),
        findings=tuple(_in_order(findings, case)),
        outputs=case.outputs,
        layers=tuple(layer for layer in matched if layer not in unknown),
        inconclusive=inconclusive,
        matched=tuple(MatchedCall(*call, *other) for call, other in case.alignment.pairs if call[0]),
        unmatched=unmatched[0],
        unmatched_tolerances=unmatched[1],
        differing_calls=tuple(differing_calls),
    )


def _differs(pair: Pair) -> bool:
    return pair.content.kind not in ("same", "close")


def _in_order(findings: Sequence[Difference], case: Case) -> list[Difference]:
    """Errors first, then in the order in which the layers ran; a removed layer behind the one that it ran after."""
    places: dict[str, float] = {}
    for number, tap in enumerate(case.model.taps):
        places.setdefault(tap.layer, number)
    partner = {before: now for now, before in case.alignment.pairs}
    last = -0.5
    for tap in case.baseline.taps:
        now = partner.get((tap.layer, tap.call))
        if now is not None:
            last = places[now[0]] + 0.5
        else:
            places.setdefault(tap.layer, last)

    def place(finding: Difference) -> float:
        return -1 if not finding.layer and finding.port.startswith("in") else places.get(finding.layer, -1)

    severities = ("error", "warning", "note")
    return sorted(findings, key=lambda finding: (severities.index(finding.severity), place(finding), finding.rule))
