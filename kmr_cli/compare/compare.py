"""Rules over two runs of the same batch: what changed, at which layer first, for which samples, and by how much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import cast

from kmr_cli.compare.agreement import not_compared
from kmr_cli.compare.alignment import Call
from kmr_cli.compare.begins import begins
from kmr_cli.compare.case import Case, axis_moved
from kmr_cli.compare.declared import narrowed
from kmr_cli.compare.difference import Values
from kmr_cli.compare.gather import OTHER_DATA, gather
from kmr_cli.compare.outputs import counterpart
from kmr_cli.compare.words import (
    LISTED,
    counted,
    how_far,
    how_often,
    input_kind,
    input_text,
    lies,
    shape_of,
    who,
)  # fmt: skip
from kmr_cli.config.policy import Policy
from kmr_cli.config.tolerance import Tolerances
from kmr_cli.records import (
    Comparison,
    Difference,
    InputSketch,
    MatchedCall,
    Snapshot,
    TapSketch,
    Verdict,
)

_CONTENT = {"shape": "KMR403", "off": "KMR406", "reordered": "KMR407"}


def compare(
    model: Snapshot,
    baseline: Snapshot,
    tolerances: Tolerances | None = None,
    *,
    policy: Policy | None = None,
    values: tuple[Values, Values] | None = None,
    conversion: bool = False,
    same_data: bool = True,
) -> Comparison:
    """Compare two snapshots of the same batch.

    Args:
        model: what is judged.
        baseline: what it should be like.
        tolerances: how far values may be off.
        policy: which rules count.
        values: whole tensors of (model, baseline), for an exact comparison.
        conversion: the baseline is another model, not an earlier state of this one: where the outputs agree,
            differences inside are no errors, and where the frameworks differ names mean little.
        same_data: both ran on the same values; if not (the inputs changed), values say nothing.

    Raises:
        LayerError: what the policy allows, or the pattern of a tolerance, is the end of several layers.
    """
    places = dict.fromkeys((*(tap.layer for tap in model.taps if tap.layer), *model.outputs))
    tolerances = (tolerances or Tolerances()).resolved(places, model.separator)
    layers = dict.fromkeys(tap.layer for tap in (*model.taps, *baseline.taps) if tap.layer)
    policy = (policy or Policy()).resolved(layers, model.separator)
    case = gather(model, baseline, tolerances, policy, values=values, conversion=conversion, same_data=same_data)
    for judge in _JUDGES:
        judge(case)
    unmatched = policy.unmatched(layers), tolerances.unmatched(places)
    return _concluded(case, exact=values is not None, unmatched=unmatched)


def _concluded(case: Case, *, exact: bool, unmatched: tuple[tuple[str, ...], tuple[str, ...]]) -> Comparison:
    """What was gathered and found, as the record that leaves this package."""
    findings = cast("list[Difference]", case.policy.apply(case.findings))
    inconclusive = (*(not_compared(case) if case.same_data else [OTHER_DATA]), *dict.fromkeys(case.doubts))
    failed = any(finding.severity == "error" and not finding.allowed for finding in findings)
    verdict: Verdict = "fail" if failed else "inconclusive" if inconclusive else "pass"
    matched = dict.fromkeys(call[0] for call, _ in case.alignment.pairs if call[0])
    renamed = {call[0] for call, _ in case.alignment.renamed}
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
    )


# -- rules -------------------------------------------------------------------------------------------------------


def _judge_interface(case: Case) -> None:
    """KMR409: inputs and outputs."""
    named = case.alignment.same_kind
    now, before = case.model.inputs, case.baseline.inputs
    problems = []
    if len(now) != len(before):
        problems.append(f"{counted(len(now), 'input')} instead of {len(before)}")
    elif named or not case.same_data:
        told_of: Callable[[InputSketch], object] = input_text if named else input_kind
        problems += [f"input {input_text(old)} is now {input_text(new)}" for new, old in zip(now, before, strict=True)
                     if told_of(new) != told_of(old)]  # fmt: skip
    outputs = (case.model.outputs, case.baseline.outputs)
    if len(outputs[0]) != len(outputs[1]):
        problems.append(f"{counted(len(outputs[0]), 'output')} instead of {len(outputs[1])}")
    elif named and case.model.format == case.baseline.format and outputs[0] != outputs[1]:
        problems.append(f"outputs {', '.join(map(repr, outputs[1]))} are now {', '.join(map(repr, outputs[0]))}")
    else:
        gone = _ports(case, ("", 0), ("", 0))
        problems += [f"output ports {gone[1]} are now {gone[0]}"] if gone else []
    for problem in problems:
        case.add("KMR409", ("", 0, "in0" if "input" in problem else "out0"), problem)
    for problem, worse in narrowed(now, before):
        case.add("KMR409", ("", 0, "in0"), problem, severity=None if worse else "note", firm=True)


def _judge_layers(case: Case) -> None:
    """KMR401 and KMR402: the set of layers and their names."""
    matched = {call[0] for call, _ in case.alignment.pairs}, {call[0] for _, call in case.alignment.pairs}
    added, removed = (
        [layer for layer in _layers_of(calls) if layer not in known]
        for calls, known in zip((case.alignment.added, case.alignment.removed), matched, strict=True)
    )
    if not case.alignment.same_kind:
        # Two frameworks cut a network into layers differently: one line says how much has no counterpart.
        for layers, ours in ((added, True), (removed, False)):
            if layers:
                case.add("KMR401", (layers[0], 0, "out0"), _without_counterpart(layers, ours=ours), severity="note")
        return
    for layers, what in ((removed, "removed"), (added, "added")):
        for layer in layers:
            if not _inside(layer, layers, case.model.separator):
                inner = sum(other.startswith(layer + case.model.separator) for other in layers)
                text = f"this layer was {what}" + (f", and the {counted(inner, 'layer')} in it" if inner else "")
                case.add("KMR401", (layer, 0, "out0"), text)
    now, before = (_runs(snapshot.taps) for snapshot in (case.model, case.baseline))
    for layer in dict.fromkeys(call[0] for call, other in case.alignment.pairs if call[0] and call[0] == other[0]):
        if now[layer] != before[layer]:
            text = f"it runs {how_often(now[layer])} in a pass instead of {how_often(before[layer])}"
            case.add("KMR401", (layer, 0, "out0"), text)
    for call, other in case.alignment.pairs:
        gone = _ports(case, call, other) if call[0] else None
        if gone:
            case.add("KMR401", (*call, "out0"), f"it takes or returns {gone[0]} instead of {gone[1]}")
    renamed = dict.fromkeys((call[0], other[0]) for call, other in case.alignment.renamed)
    for new, old in renamed:
        if not _with_container(new, old, renamed, case.model.separator):
            case.add("KMR402", (new, 0, "out0"), f"this layer was {old!r} (matched by order and shape)")


def _ports(case: Case, call: Call, other: Call) -> tuple[str, str] | None:
    """The tensors of two calls, (now, before), of the ends that both snapshots kept; None where they correspond."""
    sides = ("out", *(side for side in case.model.sides if side in case.baseline.sides))
    now, before = (
        [port for port in ports.get(which, ()) if port.startswith(sides)]
        for ports, which in zip(case.ports, (call, other), strict=True)
    )
    if call[0]:
        same = set(now) == set(before)
    else:
        same = {counterpart(port, case.model, case.baseline) for port in now} == set(before)
    return None if same else (", ".join(sorted(now)) or "nothing", ", ".join(sorted(before)) or "nothing")


def _judge_content(case: Case) -> None:
    """KMR403, KMR406, KMR407: shapes and values, blamed on the layers where they begin; KMR408 once."""
    by_tap = {pair.model.tap: pair for pair in case.pairs}
    codes = {tap: _CONTENT[pair.content.kind] for tap, pair in by_tap.items() if pair.content.kind in _CONTENT}
    for begin in begins(case, codes):
        pair = by_tap[begin.tap]
        content = pair.content
        if content.kind == "shape":
            order = " (the axes in another order)" if content.moved else ""
            text = f"shape {shape_of(pair.model)} instead of {shape_of(pair.baseline)}{order}"
        elif content.kind == "reordered":
            text = f"the same values in another order{who(content, case.model.size)}"
        else:
            text = f"{how_far(content, pair.model.dtype)}{who(content, case.model.size)}"
        where = None if content.kind == "shape" else content
        case.add(codes[begin.tap], begin.tap, text + begin.elsewhere, where, begin.severity)
    close = [pair for pair in case.pairs if pair.content.kind == "close" and pair.content.size > 0]
    if close:
        worst = max(close, key=lambda pair: pair.content.size / (pair.content.scale or 1.0))
        text = f"{how_far(worst.content, worst.model.dtype)}, tolerance {worst.content.tolerance:.3g}"
        if len(close) > 1:
            text += f"; {len(close)} tensors differ within their tolerances, none by more for its size"
        case.add("KMR408", worst.model.tap, text, worst.content)


def _judge_layouts(case: Case) -> None:
    """KMR403 as a warning: outputs whose values agree, but only once their axes stand in the other model's order."""
    for pair in case.pairs:
        if not pair.model.layer and pair.content.moved and pair.content.kind in ("same", "close"):
            shapes = f"shape {shape_of(pair.model)} instead of {shape_of(pair.baseline)}"
            text = f"{shapes} (the axes in another order; the values agree)"
            case.add("KMR403", pair.model.tap, text, severity="warning")


def _judge_dtypes(case: Case) -> None:
    changed = {pair.model.tap: pair for pair in case.pairs if pair.model.dtype != pair.baseline.dtype}
    for begin in begins(case, dict.fromkeys(changed, "KMR404")):
        pair = changed[begin.tap]
        text = f"{pair.model.dtype} instead of {pair.baseline.dtype}{begin.elsewhere}"
        case.add("KMR404", begin.tap, text, severity=begin.severity)


def _judge_axes(case: Case) -> None:
    changed = {pair.model.tap: pair for pair in case.pairs if axis_moved(pair)}
    for begin in begins(case, dict.fromkeys(changed, "KMR405")):
        pair = changed[begin.tap]
        severity = "warning" if pair.model.index == "inconclusive" else begin.severity
        text = f"samples lie {lies(pair.model)} instead of {lies(pair.baseline)}{begin.elsewhere}"
        case.add("KMR405", begin.tap, text, severity=severity)


# -- where it begins ---------------------------------------------------------------------------------------------


_JUDGES: tuple[Callable[[Case], None], ...] = (
    _judge_interface, _judge_layers, _judge_content, _judge_layouts, _judge_dtypes, _judge_axes,
)  # fmt: skip
"""All rules. They look at different things, so that none takes precedence over another."""


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


# -- words -------------------------------------------------------------------------------------------------------


def _inside(layer: str, layers: Iterable[str], separator: str) -> bool:
    return any(layer.startswith(other + separator) for other in layers)


def _with_container(new: str, old: str, renamed: Iterable[tuple[str, str]], separator: str) -> bool:
    """Whether a layer has another path only because a layer around it was renamed."""
    return any(
        new.startswith(outer + separator) and old == was + new[len(outer) :] for outer, was in renamed if outer != new
    )


def _runs(taps: Iterable[TapSketch]) -> dict[str, int]:
    """Layer -> number of its calls."""
    return Counter(layer for layer, _ in dict.fromkeys((tap.layer, tap.call) for tap in taps))


def _layers_of(calls: Sequence[Call]) -> list[str]:
    return list(dict.fromkeys(layer for layer, _ in calls if layer))


def _without_counterpart(layers: Sequence[str], *, ours: bool) -> str:
    count, have = counted(len(layers), "layer"), "has" if len(layers) == 1 else "have"
    who = f"{count} {have} no counterpart in the baseline" if ours else f"{count} of the baseline {have} no counterpart"
    return f"{who}: {', '.join(map(repr, layers[:LISTED]))}" + (", …" if len(layers) > LISTED else "")
