"""Rules over two runs of the same batch: what changed, at which layer first, for which samples, and by how much."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from kmr_cli.alignment import Alignment, Call, align
from kmr_cli.blame import find_sources
from kmr_cli.difference import TapDifference, Values, differ
from kmr_cli.policy import Policy
from kmr_cli.records import Comparison, Difference, InputSketch, OutputAgreement, Snapshot, TapSketch
from kmr_cli.rules import RULES, Severity
from kmr_cli.tolerance import Tolerances

Tap = tuple[str, int, str]

_PROVEN = ("separated", "merged", "moved", "reordered")
_UNKNOWN = TapDifference("unknown")
_OTHER_DATA = "the model takes other inputs than the baseline, so values were not compared"
_LISTED = 8  # layers or samples that a message names


@dataclass(frozen=True)
class Pair:
    """Two taps that correspond, and how their contents differ."""

    model: TapSketch
    baseline: TapSketch
    content: TapDifference


@dataclass
class _Work:
    """A comparison in progress."""

    model: Snapshot
    baseline: Snapshot
    alignment: Alignment
    pairs: list[Pair]
    lenient: bool
    findings: list[Difference] = field(default_factory=list)

    def add(
        self, code: str, tap: Tap, message: str, content: TapDifference | None = None, severity: Severity | None = None
    ) -> None:
        severity = severity or RULES[code].severity
        if self.lenient and severity == "error":
            # The outputs agree with the other model's: how either gets there is its own business.
            severity = "note" if code == "KMR401" else "warning"
        found = Difference(code, severity, *tap, message)
        if content is not None:
            size = content.size if math.isfinite(content.size) else None
            found = replace(found, where=content.where, exact=content.exact, size=size, tolerance=content.tolerance)
        self.findings.append(found)


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
    """
    tolerances, policy = tolerances or Tolerances(), policy or Policy()
    alignment = align(model, baseline)
    any_layout = conversion and not alignment.same_kind
    pairs = list(_pair(model, baseline, alignment, tolerances, values, any_layout=any_layout))
    if not same_data:
        pairs = [pair if pair.content.kind == "shape" else replace(pair, content=_UNKNOWN) for pair in pairs]
    outputs = tuple(_agreement(pair, model.outputs) for pair in pairs if not pair.model.layer)
    agree = bool(outputs) and all(output.agrees for output in outputs)
    work = _Work(model, baseline, alignment, pairs, lenient=conversion and agree)
    _judge_interface(work, named=alignment.same_kind)
    _judge_layers(work)
    _judge_content(work)
    _judge_dtypes(work)
    _judge_axes(work)
    findings = cast("list[Difference]", policy.apply(work.findings))
    unproven = tuple(_unproven(work, outputs) if same_data else [_OTHER_DATA])
    failed = any(finding.severity == "error" and not finding.allowed for finding in findings)
    verdict: Literal["pass", "fail", "unproven"] = "fail" if failed else "unproven" if unproven else "pass"
    renamed = {call for call, _ in alignment.renamed}
    matched = list(dict.fromkeys(call[0] for call, _ in alignment.pairs if call[0]))
    return Comparison(
        verdict, model.path, model.format, baseline.path, baseline.format if conversion else "snapshot",
        values is not None, len(pairs), sum(layer not in {call[0] for call in renamed} for layer in matched),
        len({call[0] for call in renamed}), tuple(_in_order(findings, pairs)), outputs, tuple(matched), unproven,
    )  # fmt: skip


def _pair(
    model: Snapshot, baseline: Snapshot, alignment: Alignment, tolerances: Tolerances,
    values: tuple[Values, Values] | None, *, any_layout: bool,
) -> Iterable[Pair]:  # fmt: skip
    there = {tap.tap: tap for tap in baseline.taps}
    partner = dict(alignment.pairs)
    for tap in model.taps:
        call = partner.get((tap.layer, tap.call))
        counterpart = there.get((*call, tap.port)) if call is not None else None
        if counterpart is not None:
            tolerance = tolerances.at(tap.layer, tap.dtype, counterpart.dtype)
            content = differ(tap, counterpart, model.size, tolerance, values=values, any_layout=any_layout)
            yield Pair(tap, counterpart, content)


# -- rules -------------------------------------------------------------------------------------------------------


def _judge_interface(work: _Work, *, named: bool) -> None:
    """KMR409: inputs and outputs."""
    now, before = work.model.inputs, work.baseline.inputs
    problems = []
    if len(now) != len(before):
        problems.append(f"{_count(len(now), 'input')} instead of {len(before)}")
    elif named:
        problems += [f"input {_input(old)} is now {_input(new)}" for new, old in zip(now, before, strict=True)
                     if _input(new) != _input(old)]  # fmt: skip
    outputs = (work.model.outputs, work.baseline.outputs)
    if len(outputs[0]) != len(outputs[1]):
        problems.append(f"{_count(len(outputs[0]), 'output')} instead of {len(outputs[1])}")
    elif named and work.model.format == work.baseline.format and outputs[0] != outputs[1]:
        problems.append(f"outputs {', '.join(map(repr, outputs[1]))} are now {', '.join(map(repr, outputs[0]))}")
    for problem in problems:
        work.add("KMR409", ("", 0, "in0" if "input" in problem else "out0"), problem)


def _judge_layers(work: _Work) -> None:
    """KMR401 and KMR402: the set of layers and their names."""
    added, removed = (_layers(calls) for calls in (work.alignment.added, work.alignment.removed))
    if not work.alignment.same_kind:
        # Two frameworks cut a network into layers differently: one line says how much has no counterpart.
        for layers, who in ((added, "here only"), (removed, "in the baseline only")):
            if layers:
                work.add("KMR401", (layers[0], 0, "out0"), f"{who}: {_listed(layers)}", severity="note")
        return
    for layer in removed:
        work.add("KMR401", (layer, 0, "out0"), "this layer was removed")
    for layer in added:
        work.add("KMR401", (layer, 0, "out0"), "this layer was added")
    for now, before in dict.fromkeys((now[0], before[0]) for now, before in work.alignment.renamed):
        work.add("KMR402", (now, 0, "out0"), f"this layer was {before!r} (matched by order and shape)")


def _judge_content(work: _Work) -> None:
    """KMR403, KMR406, KMR407: shapes and values, blamed on the layers where they begin; KMR408 once."""
    wrong = {pair.model.tap for pair in work.pairs if pair.content.kind in ("off", "shape", "reordered")}
    by_tap = {pair.model.tap: pair for pair in work.pairs}
    for tap in _first(work, wrong):
        pair = by_tap[tap]
        content, later = pair.content, _later(work, tap, wrong)
        if content.kind == "shape":
            order = " (the axes in another order)" if content.moved else ""
            shapes = f"shape {_shape(pair.model)} instead of {_shape(pair.baseline)}{order}"
            work.add("KMR403", tap, shapes + later)
        elif content.kind == "reordered":
            work.add("KMR407", tap, f"the same values in another order{_who(content)}{later}", content)
        else:
            work.add("KMR406", tap, f"{_how_far(content)}{_who(content)}{later}", content)
    close = [pair for pair in work.pairs if pair.content.kind == "close" and pair.content.size > 0]
    if close:
        worst = max(close, key=lambda pair: pair.content.size / (pair.content.scale or 1.0))
        text = f"{_how_far(worst.content)}: the largest of {_count(len(close), 'tensor')} that differ within it"
        work.add("KMR408", worst.model.tap, text, worst.content)


def _judge_dtypes(work: _Work) -> None:
    changed = {pair.model.tap: pair for pair in work.pairs if pair.model.dtype != pair.baseline.dtype}
    for tap in _first(work, set(changed)):
        pair = changed[tap]
        later = _later(work, tap, set(changed))
        work.add("KMR404", tap, f"{pair.model.dtype} instead of {pair.baseline.dtype}{later}")


def _judge_axes(work: _Work) -> None:
    changed = {pair.model.tap: pair for pair in work.pairs if _axis_moved(pair)}
    for tap in _first(work, set(changed)):
        pair = changed[tap]
        later = _later(work, tap, set(changed))
        severity: Severity | None = "warning" if pair.model.index == "unproven" else None
        text = f"samples are {_index(pair.model)}, and were {_index(pair.baseline)}{later}"
        work.add("KMR405", tap, text, severity=severity)


def _axis_moved(pair: Pair) -> bool:
    now, before = pair.model, pair.baseline
    if before.index in ("unproven", "constant") or now.random or before.random:
        return False
    if now.index in _PROVEN and before.index in _PROVEN:
        # Where the shape says it already, or only the layout of two frameworks differs, it is no second finding.
        return now.axis != before.axis and pair.content.kind != "shape"
    return now.index != before.index and now.index != "constant"


# -- where it begins ---------------------------------------------------------------------------------------------


def _first(work: _Work, wrong: set[Tap]) -> list[Tap]:
    """The taps at which something begins.

    With both ends of the layers at hand, every layer whose inputs are right and whose outputs are not; with outputs
    alone only the first one is certain.
    """
    order = [pair.model.tap for pair in work.pairs]
    if not wrong:
        return []
    if any(port.startswith("in") for layer, _, port in order if layer):
        sources = find_sources(order, wrong.__contains__, work.model.separator)
        found = [(source.layer, source.call, source.port) for source in sources]
        found = [tap if tap in wrong else next(t for t in order if t in wrong) for tap in found]
        return list(dict.fromkeys(found))
    return [next(tap for tap in order if tap in wrong)]


def _later(work: _Work, tap: Tap, wrong: set[Tap]) -> str:
    order = [pair.model.tap for pair in work.pairs]
    after = [other[0] for other in order[order.index(tap) + 1 :] if other in wrong and other[0] not in ("", tap[0])]
    count = len(dict.fromkeys(after))
    outputs = any(not other[0] and other in wrong for other in order)
    if not tap[0]:
        return ""
    if not count:
        return "; and the outputs" if outputs else "; at no other layer, and not in the outputs"
    return f"; and {_count(count, 'layer')} after it" + (", and the outputs" if outputs else ", but not the outputs")


def _in_order(findings: Sequence[Difference], pairs: Sequence[Pair]) -> list[Difference]:
    """Errors first, then in the order in which the layers ran."""
    places: dict[str, int] = {}
    for number, pair in enumerate(pairs):
        places.setdefault(pair.model.layer, number)
    severities = ("error", "warning", "note")
    return sorted(
        findings, key=lambda finding: (severities.index(finding.severity), places.get(finding.layer, -1), finding.rule)
    )


def _agreement(pair: Pair, names: Sequence[str]) -> OutputAgreement:
    number = int(pair.model.port.removeprefix("out").partition(".")[0])
    content = pair.content
    agrees = content.kind in ("same", "close") and not content.moved
    known = content.kind in ("same", "close", "off", "reordered") and math.isfinite(content.size)
    name = names[number] if number < len(names) else pair.model.port
    return OutputAgreement(name, agrees, content.size if known else None, content.tolerance if known else None)


def _unproven(work: _Work, outputs: Sequence[OutputAgreement]) -> Iterable[str]:
    if not outputs:
        yield "no output was compared"
    for pair in work.pairs:
        if not pair.model.layer and pair.content.kind == "unknown":
            yield f"output {pair.model.port} changes from run to run, so its values were not compared"


# -- words -------------------------------------------------------------------------------------------------------


def _how_far(content: TapDifference) -> str:
    if not math.isfinite(content.size):
        return "other values, or NaN or Inf at other places"
    ratio = content.size / content.tolerance if content.tolerance else math.inf
    times = f", {ratio:.3g} times the tolerance" if ratio > 1 and math.isfinite(ratio) else ""
    if content.exact:
        return f"off by at most {content.size:.3g} where the largest value is {content.scale:.3g}{times}"
    return f"off by about {content.size:.3g} where values are about {content.scale:.3g} (root mean squares{times})"


def _who(content: TapDifference) -> str:
    if not content.where:
        return ""
    listed = ", ".join(map(str, content.where[:_LISTED])) + (", …" if len(content.where) > _LISTED else "")
    return f" in sample{'s' if len(content.where) > 1 else ''} {listed}"


def _shape(tap: TapSketch) -> str:
    return f"({', '.join(map(str, tap.shape))}{',' if len(tap.shape) == 1 else ''})"


def _index(tap: TapSketch) -> str:
    return f"{tap.index} on axis {tap.axis}" if tap.axis is not None else tap.index


def _input(spec: InputSketch) -> str:
    return f"{spec.name!r} ({', '.join(map(str, ('B', *spec.shape[1:])))}) {spec.dtype}"


def _layers(calls: Sequence[Call]) -> list[str]:
    return list(dict.fromkeys(layer for layer, _ in calls if layer))


def _listed(layers: Sequence[str]) -> str:
    shown = ", ".join(map(repr, layers[:_LISTED]))
    return f"{_count(len(layers), 'layer')} without a counterpart: {shown}" + (", …" if len(layers) > _LISTED else "")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
