"""What became of one model: checked once, and every finding given to one test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from kmr_cli.api.ways import Way, every_way
from kmr_cli.errors import KmrError
from kmr_cli.pytest_plugin.asked import Asked
from kmr_cli.pytest_plugin.models import Models
from kmr_cli.pytest_plugin.snapshots import match_snapshot
from kmr_cli.records import Comparison, Finding, ModelInfo, Report
from kmr_cli.render.documents.grounds import rests_on
from kmr_cli.rules import RULES

Place: TypeAlias = "tuple[str, str]"
"""(layer, rule): one test."""
Kind: TypeAlias = Literal["check", "snapshot"]

JUST_WRITTEN = "the snapshot was written just now"


@dataclass(frozen=True)
class Judgement:
    """What one run, of the check or of the comparison, says.

    Attributes:
        layers: that were looked at; ``""`` where the model's outputs were.
        findings: that are not notes, by the test they belong to; what belongs to none is at ``("", "")``.
        silent: layer -> why nothing is verified of what leaves it.
        inconclusive: what was not verified.
        wrote: why the snapshot was written, or None.
        rests_on: files, data, versions and rules, as (what, text).
    """

    layers: frozenset[str]
    findings: Mapping[Place, tuple[Finding, ...]]
    silent: Mapping[str, str]
    inconclusive: tuple[str, ...]
    wrote: str | None = None
    rests_on: tuple[tuple[str, str], ...] = ()


class ModelRun:
    """One model of ``--kmr-model``.

    Args:
        path: of the model.
        shown: the same, as people know it.
        asked: what to do with it.
        models: opens it.
        way: into it, where that is another than the usual one; no snapshot is of that.
    """

    def __init__(self, path: Path, shown: str, asked: Asked, models: Models, *, way: Way | None = None) -> None:
        self.path, self.shown = path, shown
        self._models = models
        self.asked = asked.of(path) if way is None else self._given(asked, way)
        self.snapshot = asked.snapshot_of(path) if way is None else None
        self._others: list[tuple[Way, Asked]] = []
        if way is None and asked.all_methods:
            self._divide()
        self._info: ModelInfo | KmrError | None = None
        self._judgements: dict[Kind, Judgement | KmrError] = {}

    def places(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Every layer that can be tapped with its rules, as the file tells; the model itself, ``""``, comes last.

        A file that cannot be read has no layers.
        """
        info = self._describe()
        rules = [rule for rule in RULES.values() if rule.severity != "note" and self.asked.policy.counts(rule.code)]
        codes = [rule.code for rule in rules if self._applies(rule.code, info)]
        if not isinstance(info, KmrError):
            inside = tuple(code for code in codes if RULES[code].scope == "layer")
            for layer in info.layers:
                if not layer.untappable:
                    yield layer.path, inside
        yield "", tuple(codes)

    def others(self) -> Iterator[tuple[str, ModelRun]]:
        """The other ways into the model, ``method encode``, where all of them are asked for."""
        for way, asked in self._others:
            yield way.name, ModelRun(self.path, f"{self.shown} (--{way.name})", asked, self._models, way=way)

    def _divide(self) -> None:
        """Give each way into the model what it takes."""
        whole = self.asked
        try:
            ways = every_way(whole.opening, lambda opening: self._models.open(self.path, opening).info)
        except KmrError:  # it is told when the model is opened
            return
        self._others = [(way, whole) for way in ways if way.name]
        self.asked = next((self._given(whole, way) for way in ways if not way.name), whole)

    @staticmethod
    def _given(asked: Asked, way: Way) -> Asked:
        return replace(
            asked, inputs=way.given(asked.inputs), shapes=way.shapes(asked.shapes), opening=way.opening,
            policy=replace(asked.policy, masks=way.masks(asked.policy.masks)),
        )  # fmt: skip

    def judgement(self, kind: Kind) -> Judgement:
        """What the run says; the model runs when this is first asked for.

        Raises:
            KmrError: it could not be done; the same one every time.
        """
        if kind not in self._judgements:
            try:
                self._judgements[kind] = self._check() if kind == "check" else self._compare()
            except KmrError as exc:
                self._judgements[kind] = exc
        found = self._judgements[kind]
        if isinstance(found, KmrError):
            raise found.with_traceback(None)
        return found

    def _check(self) -> Judgement:
        asked = self.asked
        model = self._models.open(self.path, asked.opening)
        report = model.check_batch_axis(
            asked.data, policy=asked.policy, size=asked.size, shapes=asked.shapes, seed=asked.seed,
            training=asked.training, proof=asked.proof,
        )  # fmt: skip
        silent = {} if report.basis == "proof" else _silent(report)
        return self._judge(report, {tap.layer for tap in report.taps}, silent)

    def _compare(self) -> Judgement:
        asked = self.asked
        assert self.snapshot is not None
        model = self._models.open(self.path, asked.opening)
        found = match_snapshot(
            model, self.snapshot, asked.data, size=asked.size, shapes=asked.shapes,
            tolerances=asked.tolerances, policy=asked.policy, update=asked.update,
        )  # fmt: skip
        if found.comparison is None:
            return Judgement(frozenset(), {}, {}, (JUST_WRITTEN,), found.wrote)
        layers = {*found.comparison.layers, *([""] if found.comparison.outputs else [])}
        return replace(self._judge(found.comparison, layers, {}), wrote=found.wrote)

    def _judge(self, result: Report | Comparison, layers: Collection[str], silent: Mapping[str, str]) -> Judgement:
        info = self._describe()
        assert isinstance(info, ModelInfo)
        routed = route(result.findings, dict(self.places()), info.separator)
        inconclusive = result.inconclusive if layers else ("nothing was checked", *result.inconclusive)
        return Judgement(frozenset(layers), routed, silent, inconclusive, rests_on=tuple(rests_on(result)))

    def _describe(self) -> ModelInfo | KmrError:
        if self._info is None:
            try:
                self._info = self._models.open(self.path, self.asked.opening).info
            except KmrError as exc:
                self._info = exc
        return self._info

    def _applies(self, code: str, info: ModelInfo | KmrError) -> bool:
        rule = RULES[code]
        if rule.command != "check-batch-axis":
            return rule.command == "compare" and self.snapshot is not None
        if rule.needs_masks and not isinstance(info, KmrError):
            return bool(self.asked.policy.masks) or any(spec.padding is not None for spec in info.inputs)
        return not rule.needs_graph  # whether there is one shows in a check: "verified" warns of what it finds


def _silent(report: Report) -> Mapping[str, str]:
    """Why nothing is verified of a layer; of the outputs too, which are at ``""``."""
    outputs: dict[str, str] = {
        tap.layer: tap.index.evidence or "no replaced sample changed it"
        for tap in report.taps
        if not tap.layer and tap.index.kind in ("inconclusive", "constant")
    }
    return {**report.unjudged, **outputs}


def kind_of(rule: str) -> Kind:
    """Which run judges a rule."""
    return "snapshot" if RULES[rule].command == "compare" else "check"


def needs_evidence(rule: str) -> bool:
    """Whether a rule says nothing where no sample's change showed."""
    return RULES[rule].needs_owners


def route(
    findings: Iterable[Finding], places: Mapping[str, tuple[str, ...]], separator: str
) -> Mapping[Place, tuple[Finding, ...]]:
    """Give every finding that is not a note to the test of its layer and rule.

    A layer that only the loaded model shows (the inside of a custom class) has no test: then it is the nearest layer
    above it that has one, at last the model itself; and where even that has none, ``("", "")``.
    """
    routed: defaultdict[Place, list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.severity == "note":
            continue
        layer = finding.layer
        while layer and finding.rule not in places.get(layer, ()):
            layer = layer.rpartition(separator)[0]
        routed[(layer, finding.rule) if finding.rule in places.get(layer, ()) else ("", "")].append(finding)
    return {place: tuple(found) for place, found in routed.items()}
