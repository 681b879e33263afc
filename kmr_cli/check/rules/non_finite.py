"""KMR304: values that are not finite, from input that is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from kmr_cli.arrays.digests import digests
from kmr_cli.batch.words import name_samples
from kmr_cli.check.run import Run
from kmr_cli.evidence.sources import Source, find_sources
from kmr_cli.evidence.taps import Tap
from kmr_cli.records import Finding, Trace
from kmr_cli.rules import Rule, Severity

NON_FINITE = Rule(
    "KMR304",
    "non-finite",
    "error",
    "NaN or Inf comes out of finite input",
    "a value overflowed or was divided by zero",
    "look at the layer's input with kmr-inspect sample; to forbid something, use the lowest finite number, not -Inf",
    others=(
        (
            "warning",
            "the outputs that it reaches hold -Inf only: it may forbid something (an action, a token)",
        ),
        ("note", "the outputs that it reaches are finite"),
    ),
    headline="outputs are not finite",
    gravity=30,
)
RULES = (NON_FINITE,)

_BAD: tuple[Severity, ...] = ("note", "warning", "error")
"""Severities, mildest first."""


def judge(run: Run) -> None:
    """NaN or Inf from finite input: where it comes from shows at the layers, how bad it is at the outputs it reaches.

    NaN and +Inf at an output are an error. -Inf alone is a usual way to forbid an action or a token: a warning. Inside
    of attention masks of -Inf are a normal thing to have: what reaches no output is a note.
    """
    if not all(np.isfinite(value).all() for value in run.batch.values() if value.dtype.kind in "fc"):
        return
    bad = run.evidence.not_finite
    sources = run.sources(bad.__contains__)
    for source, severity in _severities(run, sources).items():
        value = run.evidence.base.get((source.before or source.layer, source.call, source.port))
        rows: list[int] = []
        if value is not None and value.ndim and value.shape[0] == run.evidence.size:
            rows = np.flatnonzero(~np.isfinite(value).reshape(len(value), -1).all(axis=1)).tolist()
        what = "-Inf" if value is not None and _only_minus_inf(value) else "NaN or Inf"
        who = f", {name_samples(rows)}" if rows else ""
        run.add(NON_FINITE, source, f"{what} comes out of finite input{who}", severity=severity)


def begins(trace: Trace) -> tuple[Finding, ...]:
    """Where NaN or Inf begins in one pass, and of which samples; those that were fed so are left out.

    How bad it is shows at the outputs of the model. A pass that ended early has none, and what is seen is an error.
    """
    first: dict[Tap, list[int]] = {}
    worst: dict[int, Severity] = {}
    seen = set(trace.given)
    for value in trace.values:
        for sample, condition in enumerate(value.conditions):
            if condition not in ("NaN", "Inf") or value.axis is None or sample in trace.given:
                continue
            if sample not in seen:
                seen.add(sample)
                first.setdefault((value.layer, value.call, value.port), []).append(sample)
            if not value.layer:
                worst[sample] = "error"
    findings = []
    for (layer, call, port), samples in first.items():
        severities = [worst.get(sample, "note" if trace.failed is None else "error") for sample in samples]
        where = "is what this layer is fed, though the layers before it returned none" if port[:2] == "in" else ""
        message = f"NaN or Inf {where or 'comes out of finite input'}, {name_samples(samples)}"
        findings.append(Finding(NON_FINITE.code, max(severities, key=_BAD.index), layer, call, port, message))
    return tuple(sorted(findings, key=lambda one: -_BAD.index(one.severity)))


def _severities(run: Run, sources: Sequence[Source]) -> dict[Source, Severity]:
    """Of every source, by the worst output that it reaches. An output that none of them reaches adds its own."""
    way = _Way(run)
    worst = dict.fromkeys(sources, 0)
    for output in way.taps:
        if output[0]:
            continue
        reached = way.back_from(output)
        found = {one: max((level for tap, level in reached.items() if _is_at(one, tap)), default=0) for one in worst}
        if not any(found.values()):
            first = next(tap for tap in way.taps if tap in reached)
            found = dict.fromkeys(find_sources([first], {first}.__contains__, run.info.separator), way.level(output))
        for source, level in found.items():
            worst[source] = max(level, worst.get(source, 0))
    return {source: _BAD[level] for source, level in worst.items()}


def _is_at(source: Source, tap: Tap) -> bool:
    layer, call, port = tap
    if source.before is not None:
        return (layer, port) == (source.before, source.port)
    return (layer, call) == (source.layer, source.call) and not port.startswith("in")


class _Way:
    """How values that are not finite may have come from tap to tap.

    Taps with the same content are one tensor, and a layer's outputs come from what entered it. What code between
    layers made comes from what was returned before and entered no layer so far, or else from anything before; but NaN
    only from NaN then.
    """

    def __init__(self, run: Run) -> None:
        self.taps = [tap for tap in run.evidence.order if tap in run.evidence.not_finite]
        self._separator = run.info.separator
        self._fed = {(layer, call) for layer, call, port in run.evidence.order if port.startswith("in")}
        self._place = {tap: number for number, tap in enumerate(self.taps)}
        self._content: dict[Tap, object] = {}
        self._mild: dict[Tap, bool] = {}
        self._alike: defaultdict[object, list[Tap]] = defaultdict(list)
        self._known: dict[Tap, list[Tap]] = {}
        known: dict[int, tuple[object, bool]] = {}
        for tap in self.taps:
            value = run.evidence.base.get(tap)
            if value is None:
                self._content[tap], self._mild[tap] = tap, False
                continue
            if id(value) not in known:
                found = digests(value, 1, [0])
                assert found is not None  # numbers, kept in one piece
                known[id(value)] = (value.shape, str(value.dtype), *found), _only_minus_inf(value)
            self._content[tap], self._mild[tap] = known[id(value)]
            self._alike[self._content[tap]].append(tap)

    def level(self, tap: Tap) -> int:
        """How bad what it holds would be at an output, as a place in :data:`_BAD`."""
        return 1 if self._mild[tap] else 2

    def back_from(self, output: Tap) -> dict[Tap, int]:
        """Taps that it may have come from, and how bad they are for that: NaN explains NaN, and -Inf beside it not."""
        reached = {output: self.level(output)}
        waiting = [output]
        while waiting:
            tap = waiting.pop()
            before = self._before(tap)
            explained = not all(self._mild[other] for other in before)
            for other in before:
                level = min(reached[tap], 1) if explained and self._mild[other] else reached[tap]
                if level > reached.get(other, 0):
                    reached[other] = level
                    waiting.append(other)
        return reached

    def _before(self, tap: Tap) -> list[Tap]:
        if tap not in self._known:
            self._known[tap] = self._look_before(tap)
        return self._known[tap]

    def _look_before(self, tap: Tap) -> list[Tap]:
        """Taps that it may have come from directly: the same tensor, what its layer was fed, or what lay around."""
        same = self._same_before(tap)
        if same:
            return same[-1:]  # and from there to those before
        layer, call, port = tap
        earlier = self.taps[: self._place[tap]]
        if layer and port.startswith("out"):
            fed = self._fed_to(tap, earlier)
            if fed or (layer, call) in self._fed:
                return fed
        return self._from_code_between(tap, earlier)

    def _same_before(self, tap: Tap) -> list[Tap]:
        """Taps that held the same content before it did."""
        layer, call, port = tap
        alike = self._alike[self._content[tap]]
        same = [other for other in alike if self._place[other] < self._place[tap]]
        if port.startswith("out"):  # who takes it in may be seen before it is seen to leave
            return [other for other in same if other[:2] == (layer, call) or not other[2].startswith("in")]
        return same or [other for other in alike if other[2].startswith("out") and other[0]]

    def _fed_to(self, tap: Tap, earlier: Sequence[Tap]) -> list[Tap]:
        """What entered the layer that returned it, and what the layers inside returned."""
        layer, call, _ = tap
        inside = [one for one in earlier if one[0].startswith(layer + self._separator)]
        own = [one for one in earlier if one[:2] == (layer, call) and one[2].startswith("in")]
        return own + (list(self._loose(inside, layer)) or inside)

    def _from_code_between(self, tap: Tap, earlier: Sequence[Tap]) -> list[Tap]:
        """What code between layers may have made it of; nothing where only that code can have made it."""
        loose = list(self._loose(earlier, tap[0]))
        if not loose and not self._mild[tap] and all(self._mild[other] for other in earlier):
            return []  # -Inf that went where it belongs, and NaN: this code made it
        return loose or list(earlier)

    def _loose(self, earlier: Sequence[Tap], layer: str) -> Iterator[Tap]:
        """What has entered no layer but those around ``layer``."""
        entered = defaultdict(list)
        for tap in earlier:
            if tap[2].startswith("in"):
                entered[self._content[tap]].append(tap[0])
        for tap in earlier:
            if all(layer.startswith(other + self._separator) for other in entered[self._content[tap]]):
                yield tap


def _only_minus_inf(value: np.ndarray) -> bool:
    """Whether all that is not finite is -Inf."""
    with np.errstate(invalid="ignore"):
        return value.dtype.kind == "f" and not (np.isnan(value) | (value == np.inf)).any()
