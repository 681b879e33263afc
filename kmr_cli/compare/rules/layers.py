"""KMR401, KMR402: the set of layers and their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from kmr_cli.compare.alignment import Call
from kmr_cli.compare.case import Case
from kmr_cli.compare.ports import ports_of
from kmr_cli.compare.words import LISTED, counted, how_often
from kmr_cli.records import TapSketch
from kmr_cli.rules import Rule, Severity

LAYERS_CHANGED = Rule(
    "KMR401",
    "layers-changed",
    "error",
    "layers were added or removed",
    "the model is no longer built like the baseline, whatever its values",
    "see which layers are named; take the snapshot again if the change is intended (compare --update)",
    command="compare",
    scope="model",
    if_passed="the outputs agree, and so do the layers that both have",
    gravity=10,
)
LAYER_RENAMED = Rule(
    "KMR402",
    "layer-renamed",
    "warning",
    "a layer has a different path, with the same shape at the same place",
    "weights, taps and settings that go by the path no longer find it",
    "give the layer its old name, or take the snapshot again",
    command="compare",
)
RULES = (LAYERS_CHANGED, LAYER_RENAMED)


def judge(case: Case) -> None:
    """The set of layers, how often they run, what they take and return, and what they are called."""
    matched = {call[0] for call, _ in case.alignment.pairs}, {call[0] for _, call in case.alignment.pairs}
    added, removed = (
        [layer for layer in _layers_of(calls) if layer not in known]
        for calls, known in zip((case.alignment.added, case.alignment.removed), matched, strict=True)
    )
    folded = case.folded() if case.alignment.same_kind else list(case.alignment.folded)
    parts = {call[0] for mine, yours in folded for call in (*mine[:-1], *yours[:-1])}
    if case.alignment.by_operators or not case.alignment.same_kind:
        # Two frameworks cut a network into layers differently, and freezing leaves none: one line says how much has
        # no counterpart.
        for layers, ours in ((added, True), (removed, False)):
            alone = [layer for layer in layers if layer not in parts]
            if alone:
                _add(case, alone[0], _without_counterpart(alone, ours=ours), severity="note")
        _judge_folded(case, folded)
        return
    _judge_folded(case, folded)
    _judge_set(case, [layer for layer in removed if layer not in parts], "removed")
    _judge_set(case, [layer for layer in added if layer not in parts], "added")
    _judge_runs(case)
    _judge_ports(case)
    _judge_names(case, {mine[-1] for mine, _ in folded})


def _add(
    case: Case, layer: str, text: str, *, call: int = 0, rule: Rule = LAYERS_CHANGED, severity: Severity | None = None
) -> None:
    """The messages name what they need of the baseline."""
    case.add(rule, (layer, call, "out0"), text, severity=severity, counterpart=False)


def _judge_set(case: Case, layers: Sequence[str], what: str) -> None:
    """KMR401: layers that were added or removed, each with all that is in it."""
    for layer in layers:
        if not _inside(layer, layers, case.model.separator):
            inner = sum(other.startswith(layer + case.model.separator) for other in layers)
            too = f", along with the {counted(inner, 'layer')} in it" if inner else ""
            _add(case, layer, f"this layer was {what}{too}")


def _judge_runs(case: Case) -> None:
    """KMR401: layers that run more or less often."""
    now, before = (_runs(snapshot.taps) for snapshot in (case.model, case.baseline))
    for layer in dict.fromkeys(call[0] for call, other in case.alignment.pairs if call[0] and call[0] == other[0]):
        if now[layer] != before[layer]:
            _add(case, layer, f"it runs {how_often(now[layer])} in a pass instead of {how_often(before[layer])}")


def _judge_ports(case: Case) -> None:
    """KMR401: layers that take or return other tensors."""
    for (layer, call), other in case.alignment.pairs:
        gone = ports_of(case, (layer, call), other) if layer else None
        if gone:
            _add(case, layer, f"it takes and returns {gone[0]} instead of {gone[1]}", call=call)


def _judge_folded(case: Case, folded: Sequence[tuple[tuple[Call, ...], tuple[Call, ...]]]) -> None:
    """KMR401: layers that do the work of several. Of another model that is no more than how it is built."""
    told = set()
    for mine, yours in folded:
        now, before = (list(dict.fromkeys(call[0] for call in calls)) for calls in (mine, yours))
        if len(yours) > 1:
            text = f"it does the work of the baseline's {_and(before)}, which are one layer here"
        else:
            text = f"{_and(now)} do the work of the baseline's {_and(before)}, which is one layer there"
        if (mine[-1][0], text) not in told:
            told.add((mine[-1][0], text))
            _add(case, mine[-1][0], text, severity="note" if case.conversion else None)


def _and(layers: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(map(repr, layers[:-1])), repr(layers[-1]))))


def _judge_names(case: Case, folded: Collection[Call]) -> None:
    """KMR402: layers that are called something else, and not only because a layer around them is."""
    renamed = dict.fromkeys((call[0], other[0]) for call, other in case.alignment.renamed if call not in folded)
    for new, old in renamed:
        if not _with_container(new, old, renamed, case.model.separator):
            _add(case, new, f"this layer used to be {old!r} (matched by order and shape)", rule=LAYER_RENAMED)


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
