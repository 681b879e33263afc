"""Records in a notebook: what matters first, as a table or a picture; what the terminal shows below it, to be unfolded.

Styles stand in the elements: a notebook may drop a style sheet, and then nothing is lost but colour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from kmr_cli.batch.words import show_shape
from kmr_cli.records import Comparison, LayerInfo, ModelInfo, Record, Report, ScanReport, Trace
from kmr_cli.render.dependences import HOW_TO_READ, Mark, Matrix, matrices
from kmr_cli.render.documents.html.elements import Content, Markup, element, lines_of, png
from kmr_cli.render.documents.html.matrices import table
from kmr_cli.render.headline import compared, headline, scanned
from kmr_cli.render.health import NOTHING_BEGINS, place, said
from kmr_cli.render.pictures.grid import as_png, fit, sides
from kmr_cli.render.pictures.planes import picture_of
from kmr_cli.render.whose import is_known, word_for

_LAYERS = 50
_MATRICES = 4
_PIXELS = 65_536
_WIDE = 320
"""Pixels that a small picture is enlarged to."""
_TONES = {"good": "#1a7f37", "bad": "#cf222e", "open": "#9a6700"}
_VERDICTS = {"pass": "good", "fail": "bad"}


def as_html(value: Any, text: str) -> str:
    """A record for a notebook, whatever a model's file calls its layers.

    Args:
        value: the record.
        text: what the terminal shows of it.
    """
    parts = _PARTS[type(value)](value) if type(value) in _PARTS else []
    block = element("pre", lines_of(text), style="white-space: pre; overflow-x: auto")
    whole = element("details", element("summary", "in full"), block) if parts else block
    return str(element("div", *parts, whole))


def _of_report(report: Report) -> list[Content]:
    found = [one for one in matrices(report) if isinstance(one, Matrix)]
    return [_verdict(report.verdict, headline(report)), *map(_matrix, found[:_MATRICES])]


def _of_comparison(result: Comparison) -> list[Content]:
    return [_verdict(result.verdict, compared(result))]


def _of_scan(report: ScanReport) -> list[Content]:
    named = "; ".join(dict.fromkeys(finding.message for finding in report.findings))
    return [_verdict(report.verdict, named or scanned(report))]


def _of_trace(trace: Trace) -> list[Content]:
    if trace.failed is not None:
        return [_badge("failed", "bad", trace.failed)]
    named = "; ".join(f"{place(finding)}: {said(finding)}" for finding in trace.findings)
    return [_badge("not finite", "bad", named) if named else _badge("finite", "good", NOTHING_BEGINS)]


def _of_record(record: Record) -> list[Content]:
    word = word_for(record)
    whose = "" if record.sample is None else f", sample {record.sample}"
    title = element("strong", f"{record.layer} {record.port}{whose} {show_shape(record.value.shape)}")
    tone = "good" if is_known(record) else "open"
    return [element("div", title), _badge(word, tone, record.index.evidence or record.index.kind), _picture(record)]


def _picture(record: Record) -> Markup | None:
    picture = picture_of(record.value)
    if picture is None:
        return None
    drawn = fit(picture, _PIXELS)
    down, across = sides(drawn)
    times = max(1, _WIDE // across)
    what = f"{picture.kind} of {record.layer} {record.port}, from {picture.low:.4g} to {picture.high:.4g}"
    return element(
        "img", src=png(as_png(drawn)), alt=what, title=what, width=across * times, height=max(down * times, 12),
        style="image-rendering: pixelated; margin: 4px 0",
    )  # fmt: skip


def _of_layers(layers: Iterable[LayerInfo], more: int = 0) -> list[Content]:
    rows = [
        (layer.path, layer.type, "; ".join(show_shape(spec.shape) for spec in layer.outputs) or "?",
         "" if layer.parameters is None else f"{layer.parameters:,}")
        for layer in layers
    ]  # fmt: skip
    head = element(
        "tr", *(element("th", name, style="text-align: left") for name in ("layer", "type", "output", "params"))
    )
    body = [element("tr", *(element("td", cell, style="text-align: left") for cell in row)) for row in rows]
    table = element("table", element("thead", head), element("tbody", *body))
    return [table, element("div", f"{more:,} more layers") if more else None]


def _of_model(info: ModelInfo) -> list[Content]:
    title = element("div", element("strong", info.path), f" written by {info.writer}")
    ends = [
        element("div", f"{end} {spec.name} {spec.kind or show_shape(spec.shape)}{sparse} {spec.dtype or ''}")
        for end, specs in (("input", info.inputs), ("output", info.outputs))
        for spec in specs
        for sparse in [" sparse" if spec.sparse else ""]
    ]
    return [title, *ends, *_of_layers(info.layers[:_LAYERS], max(len(info.layers) - _LAYERS, 0))]


def _matrix(matrix: Matrix) -> Markup:
    title = element("div", f"{matrix.title}: {HOW_TO_READ}")
    return element("div", title, table(matrix, element("th"), _cell))


def _cell(mark: Mark, own: bool) -> Markup:
    tone = {"x": "good" if own else "bad", "~": "open"}.get(mark)
    sign = {"x": "●" if own else "✕", "~": "~"}.get(mark, "·")
    return element("td", sign, style=f"text-align: center; color: {_TONES[tone]}" if tone else "text-align: center")


def _verdict(verdict: str, words: str) -> Markup:
    return _badge(verdict, _VERDICTS.get(verdict, "open"), words)


def _badge(word: str, tone: str, words: str) -> Markup:
    style = f"background: {_TONES[tone]}; color: white; padding: 1px 8px; border-radius: 4px"
    return element("div", element("span", word, style=style), f" {words}", style="margin: 4px 0")


_PARTS: dict[type, Callable[[Any], list[Content]]] = {
    Comparison: _of_comparison,
    LayerInfo: lambda layer: _of_layers([layer]),
    ModelInfo: _of_model,
    Record: _of_record,
    Report: _of_report,
    ScanReport: _of_scan,
    Trace: _of_trace,
}
