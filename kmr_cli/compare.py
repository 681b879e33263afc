"""Rules over two runs of the same batch: what changed, at which layer first, for which samples, and by how much."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from kmr_cli.alignment import Alignment, Call, align
from kmr_cli.blame import find_sources
from kmr_cli.difference import TapDifference, Values, differ
from kmr_cli.policy import Policy
from kmr_cli.records import Comparison, Difference, InputSketch, OutputAgreement, Snapshot, TapSketch
from kmr_cli.rules import RULES, Severity
from kmr_cli.sketch import MOST_PARTS
from kmr_cli.tolerance import Tolerances

Tap = tuple[str, int, str]

_PROVEN = ("separated", "merged", "moved", "reordered")
_OTHER_DATA = "the model takes other inputs than the baseline, so values were not compared"
_OTHER = TapDifference("unknown", reason=_OTHER_DATA)
_CONTENT = {"shape": "KMR403", "off": "KMR406", "reordered": "KMR407"}
_CALLERS = ("KMR404", "KMR409")  # what callers may notice although the values agree
_WITHOUT_AXIS = {
    "mixed": "mixed with each other",
    "interleaved": "interleaved along no axis",
    "routed": "routed by their content",
    "unproven": "nowhere to be told apart",
    "constant": "without any influence",
}
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
    policy: Policy
    other_data: bool = False
    findings: list[Difference] = field(default_factory=list)
    consequences: list[str] = field(default_factory=list)

    def add(
        self, code: str, tap: Tap, message: str, content: TapDifference | None = None, severity: Severity | None = None
    ) -> None:
        severity = severity or RULES[code].severity
        if self.lenient and severity == "error":
            # The outputs agree with the other model's: how either gets there is its own business.
            severity = "warning" if code in _CALLERS else "note"
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

    Raises:
        LayerError: what the policy allows is the end of several layers.
    """
    tolerances = tolerances or Tolerances()
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
    _judge_dtypes(work)
    _judge_axes(work)
    findings = cast("list[Difference]", policy.apply(work.findings))
    unproven = (*(_unproven(work, outputs) if same_data else [_OTHER_DATA]), *dict.fromkeys(work.consequences))
    failed = any(finding.severity == "error" and not finding.allowed for finding in findings)
    verdict: Literal["pass", "fail", "unproven"] = "fail" if failed else "unproven" if unproven else "pass"
    renamed = {call for call, _ in alignment.renamed}
    matched = list(dict.fromkeys(call[0] for call, _ in alignment.pairs if call[0]))
    unknown = {pair.model.layer for pair in pairs if pair.content.kind == "unknown"}
    return Comparison(
        verdict, model.path, model.format, baseline.path, baseline.format if conversion else "snapshot",
        values is not None, len(pairs), sum(layer not in {call[0] for call in renamed} for layer in matched),
        len({call[0] for call in renamed}), tuple(_in_order(findings, work)), outputs,
        tuple(layer for layer in matched if layer not in unknown), unproven,
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
    elif named or work.other_data:
        problems += [f"input {_input(old)} is now {_input(new)}" for new, old in zip(now, before, strict=True)
                     if (_input if named else _input_kind)(new) != (_input if named else _input_kind)(old)]  # fmt: skip
    outputs = (work.model.outputs, work.baseline.outputs)
    if len(outputs[0]) != len(outputs[1]):
        problems.append(f"{_count(len(outputs[0]), 'output')} instead of {len(outputs[1])}")
    elif named and work.model.format == work.baseline.format and outputs[0] != outputs[1]:
        problems.append(f"outputs {', '.join(map(repr, outputs[1]))} are now {', '.join(map(repr, outputs[0]))}")
    for problem in problems:
        work.add("KMR409", ("", 0, "in0" if "input" in problem else "out0"), problem)


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
                text = f"this layer was {what}" + (f", and the {_count(inner, 'layer')} in it" if inner else "")
                work.add("KMR401", (layer, 0, "out0"), text)
    now, before = (_runs(snapshot.taps) for snapshot in (work.model, work.baseline))
    for layer in dict.fromkeys(call[0] for call, other in work.alignment.pairs if call[0] and call[0] == other[0]):
        if now[layer] != before[layer]:
            text = f"it runs {_times(now[layer])} in a pass instead of {_times(before[layer])}"
            work.add("KMR401", (layer, 0, "out0"), text)
    renamed = dict.fromkeys((call[0], other[0]) for call, other in work.alignment.renamed)
    for new, old in renamed:
        if not _with_container(new, old, renamed, work.model.separator):
            work.add("KMR402", (new, 0, "out0"), f"this layer was {old!r} (matched by order and shape)")


def _judge_content(work: _Work) -> None:
    """KMR403, KMR406, KMR407: shapes and values, blamed on the layers where they begin; KMR408 once."""
    by_tap = {pair.model.tap: pair for pair in work.pairs}
    codes = {tap: _CONTENT[pair.content.kind] for tap, pair in by_tap.items() if pair.content.kind in _CONTENT}
    for tap, later, severity in _begins(work, codes):
        pair = by_tap[tap]
        content = pair.content
        if content.kind == "shape":
            order = " (the axes in another order)" if content.moved else ""
            text = f"shape {_shape(pair.model)} instead of {_shape(pair.baseline)}{order}"
        elif content.kind == "reordered":
            text = f"the same values in another order{_who(content, work.model.size)}"
        else:
            text = f"{_how_far(pair)}{_who(content, work.model.size)}"
        work.add(codes[tap], tap, text + later, None if content.kind == "shape" else content, severity)
    close = [pair for pair in work.pairs if pair.content.kind == "close" and pair.content.size > 0]
    if close:
        worst = max(close, key=lambda pair: pair.content.size / (pair.content.scale or 1.0))
        text = f"{_how_far(worst)}, tolerance {worst.content.tolerance:.3g}"
        if len(close) > 1:
            text += f"; {len(close)} tensors differ within their tolerances, none by more for its size"
        work.add("KMR408", worst.model.tap, text, worst.content)


def _judge_dtypes(work: _Work) -> None:
    changed = {pair.model.tap: pair for pair in work.pairs if pair.model.dtype != pair.baseline.dtype}
    for tap, later, severity in _begins(work, dict.fromkeys(changed, "KMR404")):
        pair = changed[tap]
        work.add("KMR404", tap, f"{pair.model.dtype} instead of {pair.baseline.dtype}{later}", severity=severity)


def _judge_axes(work: _Work) -> None:
    changed = {pair.model.tap: pair for pair in work.pairs if _axis_moved(pair)}
    for tap, later, severity in _begins(work, dict.fromkeys(changed, "KMR405")):
        pair = changed[tap]
        severity = "warning" if pair.model.index == "unproven" else severity
        text = f"samples lie {_index(pair.model)} instead of {_index(pair.baseline)}{later}"
        work.add("KMR405", tap, text, severity=severity)


def _axis_moved(pair: Pair) -> bool:
    now, before = pair.model, pair.baseline
    if before.index in ("unproven", "constant") or now.random or before.random:
        return False
    if now.index in _PROVEN and before.index in _PROVEN:
        # Where the shape says it already, or only the layout of two frameworks differs, it is no second finding.
        return now.axis != before.axis and pair.content.kind != "shape"
    if now.index == "unproven" and now.axis == before.axis:
        return False  # nothing speaks against the place where they were: replacing a sample left coarse values alone
    return now.index != before.index and now.index != "constant"


# -- where it begins ---------------------------------------------------------------------------------------------


def _begins(work: _Work, codes: Mapping[Tap, str]) -> list[tuple[Tap, str, Severity | None]]:
    """Where something begins, among what the policy counts: (tap, where else, severity if not the rule's).

    A rule that does not count hides nothing of the others. What an allowed layer does to later ones is allowed too,
    and with outputs alone it cannot be told from a change of their own: then that is reported as a warning, and the
    comparison stays unproven.
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
    return found + [(tap, after, "warning") for tap in doubtful]


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
    return f"; also at {_count(count, 'layer')} after it{where}"


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
    if content.kind != "unknown":
        agrees = content.kind in ("same", "close") and not content.moved and not _axis_moved(pair)
    # A size of 0 means equal bits; where only sketches are equal, no number is known.
    known = content.kind == "same" or (content.size > 0 and math.isfinite(content.size))
    name = _output_name(pair.model.port, names)
    return OutputAgreement(name, agrees, content.size if known else None, content.tolerance if known else None)


def _unproven(work: _Work, outputs: Sequence[OutputAgreement]) -> Iterable[str]:
    if not outputs:
        yield "no output was compared"
    unknown = [pair for pair in work.pairs if pair.content.kind == "unknown"]
    inside = list(dict.fromkeys(pair.model.layer for pair in unknown if pair.model.layer))
    told = set()
    for pair in unknown:
        if not pair.model.layer:
            title, reason = _output_name(pair.model.port, work.model.outputs), pair.content.reason
            first = next((one.model.layer for one in unknown if one.model.layer and one.content.reason == reason), None)
            begins = "" if first is None else f" (from layer {first!r} on)"
            yield f"output {title!r} {reason}{begins}, so its values were not compared"
            told.add(reason)
    rest = [pair for pair in unknown if pair.model.layer and pair.content.reason not in told]
    if rest:
        more = f"; nor were those of {_count(len(inside) - 1, 'more layer')}" if len(inside) > 1 else ""
        yield f"layer {rest[0].model.layer!r} {rest[0].content.reason}, so its values were not compared{more}"


# -- words -------------------------------------------------------------------------------------------------------


def _how_far(pair: Pair) -> str:
    content = pair.content
    if content.reason:
        return content.reason
    if not math.isfinite(content.size):
        return "other text" if pair.model.dtype == "string" else "NaN or Inf at other places"
    ratio = content.size / content.tolerance if content.tolerance else math.inf
    times = f", {_ratio(ratio)} the tolerance" if 1 < ratio < math.inf else ""
    if content.exact:
        return f"off by at most {content.size:.3g} where the largest value is {content.scale:.3g}{times}"
    return f"off by about {content.size:.3g} where values are about {content.scale:.3g} (root mean squares){times}"


def _ratio(ratio: float) -> str:
    if ratio >= 1e6:
        return "more than a million times"
    digits = max(0, 1 - math.floor(math.log10(ratio)))
    return f"{float(f'{ratio:.2g}'):,.{digits}f} times"


def _who(content: TapDifference, size: int) -> str:
    if not content.where or size == 1:
        return ""
    grouped = size > MOST_PARTS and not content.exact
    if len(content.where) == size:
        return " in every group of samples" if grouped else " in every sample"
    runs: list[list[int]] = []
    for sample in content.where:
        if runs and sample == runs[-1][-1] + 1:
            runs[-1].append(sample)
        else:
            runs.append([sample])
    words = [f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    listed = ", ".join(words[:_LISTED]) + (", …" if len(words) > _LISTED else "")
    # Of a larger batch several samples share a sketch: it tells that one of them is off, not which.
    return f" {'among' if grouped else 'in'} sample{'s' if len(content.where) > 1 else ''} {listed}"


def _shape(tap: TapSketch) -> str:
    return f"({', '.join(map(str, tap.shape))}{',' if len(tap.shape) == 1 else ''})"


def _index(tap: TapSketch) -> str:
    if tap.axis is None:
        return _WITHOUT_AXIS.get(tap.index, tap.index)
    how = {"merged": ", several slices each", "reordered": ", in another order"}.get(tap.index, "")
    return f"along axis {tap.axis}{how}"


def _input(spec: InputSketch) -> str:
    return f"{spec.name!r} ({', '.join(map(str, ('B', *spec.shape[1:])))}) {spec.dtype}"


def _input_kind(spec: InputSketch) -> tuple[object, ...]:
    return spec.shape[1:], spec.dtype


def _output_name(port: str, names: Sequence[str]) -> str:
    """What the model calls the output behind a port such as ``out1`` or ``out1.values``."""
    number, _, part = port.removeprefix("out").partition(".")
    name = names[int(number)] if int(number) < len(names) else f"out{number}"
    return f"{name}.{part}" if part else name


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


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _layers(calls: Sequence[Call]) -> list[str]:
    return list(dict.fromkeys(layer for layer, _ in calls if layer))


def _without_counterpart(layers: Sequence[str], *, ours: bool) -> str:
    count, have = _count(len(layers), "layer"), "has" if len(layers) == 1 else "have"
    who = f"{count} {have} no counterpart in the baseline" if ours else f"{count} of the baseline {have} no counterpart"
    return f"{who}: {', '.join(map(repr, layers[:_LISTED]))}" + (", …" if len(layers) > _LISTED else "")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
