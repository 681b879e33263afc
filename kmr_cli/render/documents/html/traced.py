"""One pass as a map: a row for every value, a column for every sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kmr_cli.batch.words import count_samples, name_samples, show_shape
from kmr_cli.records import Condition, Finding
from kmr_cli.render.contents import Traced
from kmr_cli.render.documents.findings import title as rule_title
from kmr_cli.render.documents.grounds import versions
from kmr_cli.render.documents.html.elements import Content, Markup, badge, element, in_folders, path
from kmr_cli.render.documents.html.findings import TONES
from kmr_cli.render.documents.html.page import section, terms
from kmr_cli.render.documents.html.searched import BETWEEN, Chip, searched
from kmr_cli.render.health import NOTHING_BEGINS, SIGNS, STEPS, WHOLE, Mark, Row, place, rows, said, seen, shown_values

_COLUMNS = 64
_ROWS = 3000
"""More than any file lists; the JSON has all."""
_TONES: dict[Condition, str] = {"NaN": "bad", "Inf": "other", "dead": "none", "saturated": "warn"}


def shown(traced: Traced) -> list[Markup]:
    """The main part of the page."""
    found = [_finding(one) for one in traced.trace.findings]
    parts = [_head(traced), section("Findings", *found, name="findings") if found else None, _map(traced)]
    return [part for part in parts if part is not None]


def title(traced: Traced) -> str:
    """For the window."""
    return f"{_said(traced)[0]}: {traced.info.path}"


def _said(traced: Traced) -> tuple[str, str, str]:
    """A word, its tone, and the sentence."""
    trace = traced.trace
    if trace.failed is not None:
        return "failed", "bad", f"the model fails on this batch: {trace.failed}"
    if any(finding.severity == "error" for finding in trace.findings):
        return "NaN or Inf", "bad", "NaN or Inf begins in the model and reaches its outputs"
    if trace.findings:
        return "inside", "warn", "NaN or Inf begins in the model; see below where, and whether it reaches an output"
    return "finite", "good", NOTHING_BEGINS


def _head(traced: Traced) -> Markup:
    trace = traced.trace
    word, tone, sentence = _said(traced)
    pairs: list[tuple[str, Content]] = [
        ("file", traced.info.writer),
        ("ran", f"{count_samples(trace.samples)}, one pass"),
    ]
    if trace.hint is not None:
        pairs.append(("what to do", trace.hint))
    if trace.given:
        pairs.append(("the batch", f"NaN or Inf is in the batch itself: {name_samples(trace.given)}"))
    if traced.trusted:
        pairs.append(("trusted", "the model: loaded whatever a scan finds (--trust)"))
    pairs.append(("versions", versions(traced.versions)))
    heading = element("h1", in_folders(traced.info.path), id="title")
    verdict = element("p", badge(word, tone), " ", sentence, class_="said")
    return element("section", heading, verdict, terms(pairs), class_=f"verdict is-{tone}", aria_labelledby="title")


def _finding(finding: Finding) -> Markup:
    where = path(place(finding)) if finding.layer else place(finding)
    tone = TONES[finding.severity]
    at = element("span", "at ", where, class_="at")
    heading = element("h3", badge(finding.severity, tone), f" {rule_title(finding)} ", at)
    return element("article", heading, element("p", said(finding)), class_=f"finding is-{tone}")


def _map(traced: Traced) -> Markup | None:
    trace = traced.trace
    values = shown_values(trace)
    if not values:
        return None
    each = -(-trace.samples // _COLUMNS)
    columns = range(0, trace.samples, each)
    head = element(
        "tr", element("th", "layer", scope="col"), element("th", "shape", scope="col"),
        element("th", "largest", scope="col", class_="number"),
        *(element("th", number, scope="col", class_="column") for number in columns),
    )  # fmt: skip
    shown_rows = list(rows(values[:_ROWS], each))
    body = element("tbody", *(_row(row, len(columns)) for row in shown_rows))
    table = element("table", element("thead", head), body, class_="map")
    notes = [element("p", *_legend(traced), class_="soft")]
    if each > 1:
        notes.append(
            element("p", f"Each column stands for {each} samples, and shows the worst of them.", class_="soft")
        )
    if len(values) > _ROWS:
        notes.append(element("p", f"{len(values) - _ROWS} more values; the JSON has all.", class_="soft"))
    scroll = element("div", table, class_="scroll", tabindex=0, role="group", aria_labelledby="map")
    body = searched("values", _chips(shown_rows), scroll)
    return section("Every layer, every sample", *notes, body, name="map", note="samples from left to right")


def _chips(shown_rows: Sequence[Row]) -> list[Chip]:
    counts = Counter(condition for row in shown_rows for condition in _conditions(row))
    return [Chip(one, SIGNS[one][0], tone, counts[one]) for one, tone in _TONES.items() if counts[one]]


def _conditions(row: Row) -> list[Condition]:
    """Each that any of its samples is in."""
    return [one for one in _TONES if one in row.marks]


def _legend(traced: Traced) -> list[Content]:
    parts: list[Content] = []
    for one in seen(traced.trace):
        parts += [_sign(one), f" {SIGNS[one][1]}   "]
    ramp = [element("span", class_=f"cell h{step}", aria_hidden="true") for step in range(STEPS)]
    return [*parts, *ramp, " largest magnitude, beside the row's own largest"]


def _sign(condition: Condition) -> Markup:
    return element("span", SIGNS[condition][0], class_=f"cell is-{_TONES[condition]}", aria_hidden="true")


def _row(row: Row, columns: int) -> Markup:
    figure = "" if row.largest is None else f"{row.largest:.4g}"
    if row.value.axis is None:
        whole = element("span", WHOLE, class_="soft")
        marks = [element("td", _alone(row.marks[0]), " ", whole, colspan=columns)]
    else:
        marks = [_cell(mark) for mark in row.marks]
    shape = element("td", element("code", show_shape(row.value.shape)))
    return element(
        "tr", element("th", path(row.title), scope="row"), shape, element("td", figure, class_="number"), *marks,
        data_path=row.title, data_state=BETWEEN.join(_conditions(row)),
    )  # fmt: skip


def _alone(mark: Mark) -> Markup:
    if isinstance(mark, int):
        return element("span", class_=f"cell h{mark}", aria_hidden="true")
    return _sign(mark)


def _cell(mark: Mark) -> Markup:
    if isinstance(mark, int):
        return element("td", class_=f"h{mark}")
    sign, words = SIGNS[mark]
    return element("td", element("span", sign, aria_hidden="true"), element("span", words, class_="sr"),
                   class_=f"is-{_TONES[mark]}")  # fmt: skip
