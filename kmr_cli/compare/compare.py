"""Rules over two runs of the same batch: what changed, at which layer first, for which samples, and by how much."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from kmr_cli.compare.alignment import Alignment, Call, align, counterpart
from kmr_cli.compare.declared import narrowed
from kmr_cli.compare.difference import TapDifference, Values, differ
from kmr_cli.compare.words import (
    LISTED,
    counted,
    how_far,
    how_often,
    input_kind,
    input_text,
    lies,
    output_name,
    shape_of,
    who,
)  # fmt: skip
from kmr_cli.config.policy import Policy
from kmr_cli.config.tolerance import Tolerances
from kmr_cli.evidence.sources import find_sources
from kmr_cli.records import (
    Comparison,
    Difference,
    InputSketch,
    MatchedCall,
    OutputAgreement,
    Snapshot,
    TapSketch,
    Verdict,
)
from kmr_cli.rules import RULES, Severity

Tap = tuple[str, int, str]

_OWNED = ("separated", "merged", "moved", "reordered")
_OTHER_DATA = "the model takes other inputs than the baseline, so values were not compared"
_OTHER = TapDifference("unknown", reason=_OTHER_DATA)
_CONTENT = {"shape": "KMR403", "off": "KMR406", "reordered": "KMR407"}
_ABOUT_LAYERS = ("KMR401", "KMR402")  # they name what they need of the baseline
_CALLERS = ("KMR404", "KMR409")  # what callers may notice although the values agree


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
    policy: Policy
    other_data: bool = False
    findings: list[Difference] = field(default_factory=list)
    consequences: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.partners = dict(self.alignment.pairs)
        self.ports: tuple[dict[Call, list[str]], ...] = ({}, {})
        for ports, snapshot in zip(self.ports, (self.model, self.baseline), strict=True):
            for tap in snapshot.taps:
                ports.setdefault((tap.layer, tap.call), []).append(tap.port)

    def add(
        self, code: str, tap: Tap, message: str, content: TapDifference | None = None,
        severity: Severity | None = None, *, firm: bool = False,
    ) -> None:  # fmt: skip
        severity = severity or RULES[code].severity
        if self.lenient and severity == "error" and not firm:
            # The outputs agree with the other model's: how either gets there is its own business.
            severity = "warning" if code in _CALLERS else "note"
        other = self.partners.get(tap[:2], ("",))[0] if code not in _ABOUT_LAYERS else ""
        found = Difference(code, severity, *tap, message, counterpart=other if other not in ("", tap[0]) else None)
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

    Raises:
        LayerError: what the policy allows, or the pattern of a tolerance, is the end of several layers.
    """
    places = dict.fromkeys((*(tap.layer for tap in model.taps if tap.layer), *model.outputs))
    tolerances = (tolerances or Tolerances()).resolved(places, model.separator)
    layers = dict.fromkeys(tap.layer for tap in (*model.taps, *baseline.taps) if tap.layer)
    policy = (policy or Policy()).resolved(layers, model.separator)
    alignment = align(model, baseline)
    any_layout = conversion and not alignment.same_kind
    pairs = list(_pair(model, baseline, alignment, tolerances, values, any_layout=any_layout))
    if not same_data:
        pairs = [pair if pair.content.kind == "shape" else replace(pair, content=_OTHER) for pair in pairs]
    outputs = tuple(_agreement(pair, model.outputs) for pair in pairs if not pair.model.layer)
    agree = bool(outputs) and all(output.agrees for output in outputs) and len(model.outputs) == len(baseline.outputs)
    work = _Work(
        model, baseline, alignment, pairs, lenient=conversion and agree, policy=policy, other_data=not same_data
    )
    _judge_interface(work, named=alignment.same_kind)
    _judge_layers(work)
    _judge_content(work)
    _judge_layouts(work)
    _judge_dtypes(work)
    _judge_axes(work)
    findings = cast("list[Difference]", policy.apply(work.findings))
    inconclusive = (*(_inconclusive(work, outputs) if same_data else [_OTHER_DATA]), *dict.fromkeys(work.consequences))
    failed = any(finding.severity == "error" and not finding.allowed for finding in findings)
    verdict: Verdict = "fail" if failed else "inconclusive" if inconclusive else "pass"
    renamed = {call for call, _ in alignment.renamed}
    matched = list(dict.fromkeys(call[0] for call, _ in alignment.pairs if call[0]))
    unknown = {pair.model.layer for pair in pairs if pair.content.kind == "unknown"}
    return Comparison(
        verdict, model.path, model.format, baseline.path, baseline.format if conversion else "snapshot",
        values is not None, len(pairs), sum(layer not in {call[0] for call in renamed} for layer in matched),
        len({call[0] for call in renamed}), tuple(_in_order(findings, work)), outputs,
        tuple(layer for layer in matched if layer not in unknown), inconclusive,
        tuple(MatchedCall(*call, *other) for call, other in alignment.pairs if call[0]),
        policy.unmatched(layers), tolerances.unmatched(places),
    )  # fmt: skip


def _pair(
    model: Snapshot, baseline: Snapshot, alignment: Alignment, tolerances: Tolerances,
    values: tuple[Values, Values] | None, *, any_layout: bool,
) -> Iterable[Pair]:  # fmt: skip
    there = {tap.tap: tap for tap in baseline.taps}
    partner = dict(alignment.pairs)
    for tap in model.taps:
        call = partner.get((tap.layer, tap.call))
        port = tap.port if tap.layer else counterpart(tap.port, model, baseline)
        other = there.get((*call, port)) if call is not None else None
        if other is not None:
            tolerance = tolerances.at(tap.layer or _returned_as(tap, model), tap.dtype, other.dtype)
            content = differ(
                tap, other, model.size, tolerance, values=values, any_layout=any_layout, schema=baseline.schema
            )
            yield Pair(tap, other, content)


def _returned_as(tap: TapSketch, model: Snapshot) -> str:
    """The name by which tolerances know an output: its own, which in Keras is that of the layer it comes from."""
    return output_name(tap.port.partition(".")[0], model.outputs)


# -- rules -------------------------------------------------------------------------------------------------------


def _judge_interface(work: _Work, *, named: bool) -> None:
    """KMR409: inputs and outputs."""
    now, before = work.model.inputs, work.baseline.inputs
    problems = []
    if len(now) != len(before):
        problems.append(f"{counted(len(now), 'input')} instead of {len(before)}")
    elif named or work.other_data:
        told_of: Callable[[InputSketch], object] = input_text if named else input_kind
        problems += [f"input {input_text(old)} is now {input_text(new)}" for new, old in zip(now, before, strict=True)
                     if told_of(new) != told_of(old)]  # fmt: skip
    outputs = (work.model.outputs, work.baseline.outputs)
    if len(outputs[0]) != len(outputs[1]):
        problems.append(f"{counted(len(outputs[0]), 'output')} instead of {len(outputs[1])}")
    elif named and work.model.format == work.baseline.format and outputs[0] != outputs[1]:
        problems.append(f"outputs {', '.join(map(repr, outputs[1]))} are now {', '.join(map(repr, outputs[0]))}")
    else:
        gone = _ports(work, ("", 0), ("", 0))
        problems += [f"output ports {gone[1]} are now {gone[0]}"] if gone else []
    for problem in problems:
        work.add("KMR409", ("", 0, "in0" if "input" in problem else "out0"), problem)
    for problem, worse in narrowed(now, before):
        work.add("KMR409", ("", 0, "in0"), problem, severity=None if worse else "note", firm=True)


def _judge_layers(work: _Work) -> None:
    """KMR401 and KMR402: the set of layers and their names."""
    matched = {call[0] for call, _ in work.alignment.pairs}, {call[0] for _, call in work.alignment.pairs}
    added, removed = (
        [layer for layer in _layers(calls) if layer not in known]
        for calls, known in zip((work.alignment.added, work.alignment.removed), matched, strict=True)
    )
    if not work.alignment.same_kind:
        # Two frameworks cut a network into layers differently: one line says how much has no counterpart.
        for layers, ours in ((added, True), (removed, False)):
            if layers:
                work.add("KMR401", (layers[0], 0, "out0"), _without_counterpart(layers, ours=ours), severity="note")
        return
    for layers, what in ((removed, "removed"), (added, "added")):
        for layer in layers:
            if not _inside(layer, layers, work.model.separator):
                inner = sum(other.startswith(layer + work.model.separator) for other in layers)
                text = f"this layer was {what}" + (f", and the {counted(inner, 'layer')} in it" if inner else "")
                work.add("KMR401", (layer, 0, "out0"), text)
    now, before = (_runs(snapshot.taps) for snapshot in (work.model, work.baseline))
    for layer in dict.fromkeys(call[0] for call, other in work.alignment.pairs if call[0] and call[0] == other[0]):
        if now[layer] != before[layer]:
            text = f"it runs {how_often(now[layer])} in a pass instead of {how_often(before[layer])}"
            work.add("KMR401", (layer, 0, "out0"), text)
    for call, other in work.alignment.pairs:
        gone = _ports(work, call, other) if call[0] else None
        if gone:
            work.add("KMR401", (*call, "out0"), f"it takes or returns {gone[0]} instead of {gone[1]}")
    renamed = dict.fromkeys((call[0], other[0]) for call, other in work.alignment.renamed)
    for new, old in renamed:
        if not _with_container(new, old, renamed, work.model.separator):
            work.add("KMR402", (new, 0, "out0"), f"this layer was {old!r} (matched by order and shape)")


def _ports(work: _Work, call: Call, other: Call) -> tuple[str, str] | None:
    """The tensors of two calls, (now, before), of the ends that both snapshots kept; None where they correspond."""
    sides = ("out", *(side for side in work.model.sides if side in work.baseline.sides))
    now, before = (
        [port for port in ports.get(which, ()) if port.startswith(sides)]
        for ports, which in zip(work.ports, (call, other), strict=True)
    )
    if call[0]:
        same = set(now) == set(before)
    else:
        same = {counterpart(port, work.model, work.baseline) for port in now} == set(before)
    return None if same else (", ".join(sorted(now)) or "nothing", ", ".join(sorted(before)) or "nothing")


def _judge_content(work: _Work) -> None:
    """KMR403, KMR406, KMR407: shapes and values, blamed on the layers where they begin; KMR408 once."""
    by_tap = {pair.model.tap: pair for pair in work.pairs}
    codes = {tap: _CONTENT[pair.content.kind] for tap, pair in by_tap.items() if pair.content.kind in _CONTENT}
    for tap, later, severity in _begins(work, codes):
        pair = by_tap[tap]
        content = pair.content
        if content.kind == "shape":
            order = " (the axes in another order)" if content.moved else ""
            text = f"shape {shape_of(pair.model)} instead of {shape_of(pair.baseline)}{order}"
        elif content.kind == "reordered":
            text = f"the same values in another order{who(content, work.model.size)}"
        else:
            text = f"{how_far(content, pair.model.dtype)}{who(content, work.model.size)}"
        work.add(codes[tap], tap, text + later, None if content.kind == "shape" else content, severity)
    close = [pair for pair in work.pairs if pair.content.kind == "close" and pair.content.size > 0]
    if close:
        worst = max(close, key=lambda pair: pair.content.size / (pair.content.scale or 1.0))
        text = f"{how_far(worst.content, worst.model.dtype)}, tolerance {worst.content.tolerance:.3g}"
        if len(close) > 1:
            text += f"; {len(close)} tensors differ within their tolerances, none by more for its size"
        work.add("KMR408", worst.model.tap, text, worst.content)


def _judge_layouts(work: _Work) -> None:
    """KMR403 as a warning: outputs whose values agree, but only once their axes stand in the other model's order."""
    for pair in work.pairs:
        if not pair.model.layer and pair.content.moved and pair.content.kind in ("same", "close"):
            shapes = f"shape {shape_of(pair.model)} instead of {shape_of(pair.baseline)}"
            text = f"{shapes} (the axes in another order; the values agree)"
            work.add("KMR403", pair.model.tap, text, severity="warning")


def _judge_dtypes(work: _Work) -> None:
    changed = {pair.model.tap: pair for pair in work.pairs if pair.model.dtype != pair.baseline.dtype}
    for tap, later, severity in _begins(work, dict.fromkeys(changed, "KMR404")):
        pair = changed[tap]
        work.add("KMR404", tap, f"{pair.model.dtype} instead of {pair.baseline.dtype}{later}", severity=severity)


def _judge_axes(work: _Work) -> None:
    changed = {pair.model.tap: pair for pair in work.pairs if _axis_moved(pair)}
    for tap, later, severity in _begins(work, dict.fromkeys(changed, "KMR405")):
        pair = changed[tap]
        severity = "warning" if pair.model.index == "inconclusive" else severity
        text = f"samples lie {lies(pair.model)} instead of {lies(pair.baseline)}{later}"
        work.add("KMR405", tap, text, severity=severity)


def _axis_moved(pair: Pair) -> bool:
    now, before = pair.model, pair.baseline
    if before.index in ("inconclusive", "constant") or now.random or before.random:
        return False
    if now.index in _OWNED and before.index in _OWNED:
        # Where the shape says it already, or only the layout of two frameworks differs, it is no second finding.
        return now.axis != before.axis and pair.content.kind != "shape"
    if now.index == "inconclusive" and now.axis == before.axis:
        return False  # nothing speaks against the place where they were: replacing a sample left coarse values alone
    return now.index != before.index and now.index != "constant"


# -- where it begins ---------------------------------------------------------------------------------------------


def _begins(work: _Work, codes: Mapping[Tap, str]) -> list[tuple[Tap, str, Severity | None]]:
    """Where something begins, among what the policy counts: (tap, where else, severity if not the rule's).

    A rule that does not count hides nothing of the others. What an allowed layer does to later ones is allowed too,
    and with outputs alone it cannot be told from a change of their own: then that is reported as a warning, and the
    comparison stays inconclusive.
    """
    wrong = {tap for tap, code in codes.items() if work.policy.counts(code)}
    sources = _first(work, wrong)
    allowed = [tap for tap in sources if work.policy.allows(tap[0])]
    doubtful: list[Tap] = []
    if allowed and len(allowed) == len(sources):
        order = [pair.model.tap for pair in work.pairs]
        both = any(port.startswith("in") for layer, _, port in order if layer)
        explained = _given_out(work, bool if both else work.policy.allows)
        doubtful = [
            tap for tap in order
            if tap in wrong and not work.policy.allows(tap[0]) and tap not in explained and not (both and tap[0])
        ][:1]  # fmt: skip
        if doubtful and not work.lenient:
            work.consequences.append(_doubt(allowed[0][0], both=both))
    found: list[tuple[Tap, str, Severity | None]] = [(tap, _later(work, tap, wrong, sources), None) for tap in sources]
    after = f"; perhaps only because layer {allowed[0][0]!r}, which may differ, does" if allowed else ""
    return found + [(tap, after, None if work.lenient else "warning") for tap in doubtful]


def _given_out(work: _Work, layers: Callable[[str], bool]) -> set[Tap]:
    """The model's outputs that are, bit for bit and in both models, what one of these layers returned."""

    def key(pair: Pair) -> tuple[object, ...]:
        ends = (pair.model, pair.baseline)
        return tuple((end.shape, end.dtype, tuple(sample.bits for sample in end.samples)) for end in ends)

    pairs = [pair for pair in work.pairs if pair.model.port.startswith("out")]
    returned = {key(pair) for pair in pairs if pair.model.layer and layers(pair.model.layer)}
    return {pair.model.tap for pair in pairs if not pair.model.layer and key(pair) in returned}


def _doubt(layer: str, *, both: bool) -> str:
    if both:
        return (
            f"an output that no layer returns as it is differs, and so does layer {layer!r}, which may: whether that is"
            " all its doing cannot be told"
        )
    return (
        f"layers or outputs after {layer!r}, which may differ, differ too: whether that is all its doing cannot be told"
        " from outputs alone (take the snapshot with --side both)"
    )


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


def _later(work: _Work, tap: Tap, wrong: set[Tap], sources: Sequence[Tap]) -> str:
    """Where else it is wrong, but for where something begins anew."""
    if not tap[0]:
        return ""
    order = [pair.model.tap for pair in work.pairs]
    told = {"", *(source[0] for source in sources)}
    after = [other[0] for other in order[order.index(tap) + 1 :] if other in wrong and other[0] not in told]
    count = len(dict.fromkeys(after))
    outputs = any(not other[0] and other in wrong for other in order)
    if not count:
        alone = "; at no other layer, and not in the outputs" if len(sources) == 1 else "; not in the outputs"
        return "; also in the outputs" if outputs else alone
    where = " and in the outputs" if outputs else ", but not in the outputs"
    return f"; also at {counted(count, 'layer')} after it{where}"


def _in_order(findings: Sequence[Difference], work: _Work) -> list[Difference]:
    """Errors first, then in the order in which the layers ran; a removed layer behind the one that it ran after."""
    places: dict[str, float] = {}
    for number, tap in enumerate(work.model.taps):
        places.setdefault(tap.layer, number)
    partner = {before: now for now, before in work.alignment.pairs}
    last = -0.5
    for tap in work.baseline.taps:
        now = partner.get((tap.layer, tap.call))
        if now is not None:
            last = places[now[0]] + 0.5
        else:
            places.setdefault(tap.layer, last)

    def place(finding: Difference) -> float:
        return -1 if not finding.layer and finding.port.startswith("in") else places.get(finding.layer, -1)

    severities = ("error", "warning", "note")
    return sorted(findings, key=lambda finding: (severities.index(finding.severity), place(finding), finding.rule))


def _agreement(pair: Pair, names: Sequence[str]) -> OutputAgreement:
    content = pair.content
    agrees: bool | None = None
    if content.kind != "unknown" and not _says_nothing(pair):
        agrees = content.kind in ("same", "close") and not content.moved and not _axis_moved(pair)
    # A size of 0 means equal bits; where only sketches are equal, no number is known.
    known = content.kind == "same" or (content.size > 0 and math.isfinite(content.size))
    name = output_name(pair.model.port, names)
    return OutputAgreement(name, agrees, content.size if known else None, content.tolerance if known else None)


def _says_nothing(pair: Pair) -> bool:
    """Whether two taps agree without a single finite value."""
    samples = pair.model.samples
    empty = all(sample.rms is None for sample in samples) and any(sample.nonfinite for sample in samples)
    return empty and pair.content.kind in ("same", "close")


def _inconclusive(work: _Work, outputs: Sequence[OutputAgreement]) -> Iterable[str]:
    if not outputs:
        yield "no output was compared"
    for pair in work.pairs:
        if not pair.model.layer and _says_nothing(pair):
            title = output_name(pair.model.port, work.model.outputs)
            yield f"output {title!r} holds nothing but NaN or Inf on either side, so no value of it was compared"
    unknown = [pair for pair in work.pairs if pair.content.kind == "unknown"]
    inside = list(dict.fromkeys(pair.model.layer for pair in unknown if pair.model.layer))
    told = set()
    for pair in unknown:
        if not pair.model.layer:
            title, reason = output_name(pair.model.port, work.model.outputs), pair.content.reason
            first = next((one.model.layer for one in unknown if one.model.layer and one.content.reason == reason), None)
            begins = "" if first is None else f" (from layer {first!r} on)"
            yield f"output {title!r} {reason}{begins}, so its values were not compared"
            told.add(reason)
    rest = [pair for pair in unknown if pair.model.layer and pair.content.reason not in told]
    if rest:
        more = f"; nor were those of {counted(len(inside) - 1, 'more layer')}" if len(inside) > 1 else ""
        yield f"layer {rest[0].model.layer!r} {rest[0].content.reason}, so its values were not compared{more}"


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


def _layers(calls: Sequence[Call]) -> list[str]:
    return list(dict.fromkeys(layer for layer, _ in calls if layer))


def _without_counterpart(layers: Sequence[str], *, ours: bool) -> str:
    count, have = counted(len(layers), "layer"), "has" if len(layers) == 1 else "have"
    who = f"{count} {have} no counterpart in the baseline" if ours else f"{count} of the baseline {have} no counterpart"
    return f"{who}: {', '.join(map(repr, layers[:LISTED]))}" + (", …" if len(layers) > LISTED else "")
