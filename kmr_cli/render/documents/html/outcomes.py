"""Verdicts: what is said of every model, what that rests on, the findings and the layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kmr_cli.batch.words import show_shape
from kmr_cli.records import Comparison, Finding, MatchedCall, Report, TapVerdict
from kmr_cli.render.contents import Outcome
from kmr_cli.render.documents.findings import ITSELF, itself, tally, unchecked, word_of
from kmr_cli.render.documents.grounds import proof_lines, rests_on
from kmr_cli.render.documents.html import states
from kmr_cli.render.documents.html.elements import Content, Markup, badge, element, in_folders, join, path
from kmr_cli.render.documents.html.findings import Picture, found
from kmr_cli.render.documents.html.flow import Wiring, around
from kmr_cli.render.documents.html.matrices import dependence
from kmr_cli.render.documents.html.order import beside
from kmr_cli.render.documents.html.page import section, terms
from kmr_cli.render.documents.html.tree import Layers, ports, with_seen
from kmr_cli.render.headline import (
    agreement,
    allowances,
    compared,
    headline,
    how_compared,
    kinds_of_taps,
    passes_run,
    scanned,
)

_TONES = {"pass": "good", "fail": "bad", "inconclusive": "warn", "not checked": "bad"}


def shown(outcomes: Sequence[Outcome]) -> list[Markup]:
    """The main part of the page: a summary where there are several models, and each of them."""
    models = [_model(outcome, f"m{number}") for number, outcome in enumerate(outcomes)]
    return models if len(models) == 1 else [_summary(outcomes), *models]


def _summary(outcomes: Sequence[Outcome]) -> Markup:
    rows = [
        element(
            "li", _badge(one), " ",
            element("a", path(one.path), href=f"#m{number}"),
        )
        for number, one in enumerate(outcomes)
    ]  # fmt: skip
    return element(
        "section", element("h1", tally(outcomes), id="all"), element("ul", *rows, class_="tree") if rows else None,
        aria_labelledby="all",
    )  # fmt: skip


def _badge(outcome: Outcome) -> Markup:
    return badge(word_of(outcome), _TONES[word_of(outcome)])


def _model(outcome: Outcome, prefix: str) -> Markup:
    reason = unchecked(outcome)
    if reason is not None:
        hint = element("p", element("b", "What to do: "), outcome.hint) if outcome.hint else None
        told = (element("p", _badge(outcome), " ", reason, class_="said"), hint)
        return _article(outcome, prefix, told, ())
    result = outcome.result
    layers = _layers(outcome, prefix)
    parts: list[Markup | None] = []
    if isinstance(result, Report):
        wiring = Wiring(result.taps, layers.separator)
        parts.append(
            found(
                outcome.findings, layers, prefix, whole=itself(result),
                picture=lambda finding, name: around(finding, wiring, layers, name),
            )
        )  # fmt: skip
        parts += [_left_open("Not verified", outcome, prefix), dependence(result, prefix)]
    else:
        picture = _around_differences(result, layers) if isinstance(result, Comparison) else None
        parts.append(found(outcome.findings, layers, prefix, whole=ITSELF, picture=picture))
        parts.append(_left_open("Not compared", outcome, prefix))
    parts += [layers.section() if layers.infos and not _scans(outcome) else None, _grounds(outcome, prefix)]
    return _article(outcome, prefix, _verdict(outcome), [part for part in parts if part is not None])


def _around_differences(result: Comparison, layers: Layers) -> Picture:
    """What is around a finding of a comparison: by what feeds what; where that is unknown, by the order of the run."""
    known = {"graph": "By the graph in the file. ", "values": "By the values of this run. "}
    wiring = Wiring(result.connections, layers.separator, known.get(result.connected_by, ""))

    def picture(finding: Finding, name: str) -> Markup | None:
        drawn = around(finding, wiring, layers, name) if finding.layer else None
        return drawn or beside(finding, result, layers)

    return picture


def _article(outcome: Outcome, prefix: str, verdict: Sequence[Content], parts: Sequence[Content]) -> Markup:
    against = outcome.result.baseline if isinstance(outcome.result, Comparison) else None
    heading = element(
        "h1", in_folders(outcome.path),
        *((element("small", " against "), in_folders(against)) if against is not None else ()),
        id=f"{prefix}-title",
    )  # fmt: skip
    head = element("div", heading, *verdict, class_=f"verdict is-{_TONES[word_of(outcome)]}")
    return element("article", head, *parts, class_="model", id=prefix, aria_labelledby=f"{prefix}-title")


def _verdict(outcome: Outcome) -> list[Content]:
    """What it claims, and how far it was looked at."""
    result = outcome.result
    pairs: list[tuple[str, Content]] = []
    if isinstance(result, Report):
        said = headline(result, some_rules=outcome.some_rules)
        pairs.append(("rests on", _basis(result)))
        pairs.append(("passes", passes_run(result)))
        kinds = kinds_of_taps(result)
        if kinds:
            pairs.append(("taps", kinds))
        pairs += [("graph", line) for line in proof_lines(result)]
        if result.training:
            pairs.append(("mode", "training"))
        pairs += [("allowed", line) for line in allowances(result)]
    elif isinstance(result, Comparison):
        said = compared(result, some_rules=outcome.some_rules)
        pairs.append(("compared", how_compared(result)))
        pairs += [("outputs", agreement(output, exact=result.exact)) for output in result.outputs]
        pairs += [("note", note) for note in result.notes]
    else:
        assert result is not None  # else it would not have been checked
        said = scanned(result)
    pairs += [("not examined", line) for line in outcome.not_examined]
    words = element("p", _badge(outcome), " ", said, class_="said")
    return [words, terms(pairs)]


def _basis(report: Report) -> str:
    if report.basis == "proof":
        return "the graph of the model, for every input" if not report.forward_passes else (
            "the graph of the model, for every input; no pass disagrees"
        )  # fmt: skip
    return "what the passes showed, on this batch and on the data that replaced it"


def _scans(outcome: Outcome) -> bool:
    return not isinstance(outcome.result, (Report, Comparison))


def _left_open(title: str, outcome: Outcome, prefix: str) -> Markup | None:
    if not outcome.inconclusive:
        return None
    lines = element("ul", *(element("li", line) for line in outcome.inconclusive), class_="lines")
    return section(title, lines, name=f"{prefix}-open")


def _layers(outcome: Outcome, prefix: str) -> Layers:
    result = outcome.result
    if isinstance(result, Comparison):  # a finding may be at a layer that only the baseline has
        infos, separator = with_seen(outcome.info, outcome.layers)
        known = states.of_comparison(result)
        return Layers(
            infos, separator, known, _calls_compared(result, known), prefix, states.UNMATCHED, "beside the baseline"
        )
    infos, separator = with_seen(outcome.info, [*outcome.layers, *(finding.layer for finding in outcome.findings)])
    if not isinstance(result, Report):
        return Layers(infos, separator, states.States({}, {}), {}, prefix)
    taps: dict[str, list[TapVerdict]] = {}
    for tap in result.taps:
        if tap.layer:
            taps.setdefault(tap.layer, []).append(tap)
    shapes = {
        layer: ", ".join(dict.fromkeys(show_shape(tap.shape) for tap in ones if tap.port.startswith("out")))
        for layer, ones in taps.items()
    }
    layers = Layers(infos, separator, states.of_check(result), {}, prefix, shapes=shapes)
    left = {info.path: element("p", info.untappable) for info in infos if info.untappable and info.calls != 0}
    layers.details = left | {layer: ports(ones, layers) for layer, ones in taps.items()}
    return layers


def _calls_compared(result: Comparison, known: states.States) -> dict[str, Markup]:
    """By layer: what each call was compared with, where that says more than the layer's own line."""
    matched: dict[str, list[MatchedCall]] = {}
    for one in result.matched:
        matched.setdefault(one.layer, []).append(one)
    found = {}
    for layer, ones in matched.items():
        elsewhere = {(one.call, one.baseline_layer, one.baseline_call) for one in ones if one.by == "order"}
        if len(known.calls(layer)) > 1:
            found[layer] = _table_of_calls(known.calls(layer), ones, elsewhere=bool(elsewhere))
        elif elsewhere:
            found[layer] = element("p", "matched by order and shape with the baseline's ", _theirs(ones[0]))
    return found


def _table_of_calls(calls: Mapping[int, states.State], ones: Sequence[MatchedCall], *, elsewhere: bool) -> Markup:
    with_what = {one.call: one for one in ones}
    rows = [
        element(
            "tr", element("th", call, scope="row"),
            *([element("td", *_compared_with(with_what.get(call)))] if elsewhere else []),
            element("td", state.shown()),
        )
        for call, state in calls.items()
    ]  # fmt: skip
    titles = ("call", *(["in the baseline"] if elsewhere else []), "beside the baseline")
    head = element("thead", element("tr", *(element("th", title, scope="col") for title in titles)))
    return element("table", head, element("tbody", *rows), class_="plain")


def _compared_with(match: MatchedCall | None) -> list[Content]:
    if match is None:
        return ["no counterpart"]
    return ["the same"] if match.by == "path" else [_theirs(match), " by order and shape"]


def _theirs(match: MatchedCall) -> Markup:
    call = f" call {match.baseline_call}" if match.baseline_call else ""
    return join([path(match.baseline_layer), call])


def _grounds(outcome: Outcome, prefix: str) -> Markup | None:
    pairs: list[tuple[str, Content]] = list(rests_on(outcome.result))
    if outcome.run.date:
        pairs.append(("run", f"{outcome.run.date}, {outcome.run.seconds:.1f} s, {outcome.run.machine}"))
    if not pairs:
        return None
    return section("What this rests on", element("div", terms(pairs), class_="grounds"), name=f"{prefix}-grounds")


def title(outcomes: Sequence[Outcome]) -> str:
    """For the window."""
    if len(outcomes) == 1:
        one = outcomes[0]
        return f"{word_of(one)}: {one.path}"
    return tally(outcomes)
