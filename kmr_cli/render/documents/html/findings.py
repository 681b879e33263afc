"""What was found: errors with the layers around them and the fix; notes that say the same of several layers as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from kmr_cli.records import Finding
from kmr_cli.render.documents.findings import accepted, numbers, place, samples, title
from kmr_cli.render.documents.html.elements import Content, Markup, badge, element, path
from kmr_cli.render.documents.html.page import section
from kmr_cli.render.documents.html.tree import Layers
from kmr_cli.rules import RULES, remedy_of

TONES = {"error": "bad", "warning": "warn", "note": "none"}
"""By severity."""
_PICTURES = 40
"""Findings with a picture of what is around: a page stays below two megabytes."""
_MOST = 400
_PAIRS = 8
"""So many are told who depends on whom: the matrix and the JSON have them all."""

Picture: TypeAlias = "Callable[[Finding, str], Markup | None]"
"""From a finding and a free id to what is drawn with it."""


def found(
    findings: Sequence[Finding], layers: Layers, prefix: str, *, whole: str, picture: Picture | None = None
) -> Markup | None:
    """The part of the page with all findings; None where there are none.

    Args:
        findings: errors first.
        layers: to which they link.
        prefix: of ids.
        whole: what stands for the layer ``""``.
        picture: drawn with errors and warnings.
    """
    if not findings:
        return None
    grave = [one for one in findings if one.severity != "note"]
    notes: dict[tuple[str, str], list[Finding]] = {}
    for one in findings:
        if one.severity == "note":
            notes.setdefault((one.rule, one.message), []).append(one)
    parts = [
        _article(
            [one], layers, whole, picture(one, f"{prefix}-around-{number}") if picture and number < _PICTURES else None
        )
        for number, one in enumerate(grave[:_MOST])
    ]
    parts += [_article(alike, layers, whole, None) for alike in list(notes.values())[:_MOST]]
    left = max(len(grave) - _MOST, 0) + max(len(notes) - _MOST, 0)
    if left:
        parts.append(element("p", f"… and {left} more: the JSON has all", class_="more soft"))
    return section("Findings", *parts, name=f"{prefix}-findings", note=numbers(findings))


def _article(alike: Sequence[Finding], layers: Layers, whole: str, picture: Markup | None) -> Markup:
    finding = alike[0]
    tone = TONES[finding.severity] if not finding.allowed else "none"
    places: list[Content] = []
    for one in dict.fromkeys((one.layer, place(one, whole)) for one in alike):
        places += [", "] if places else []
        places.append(layers.link(one[0], path(one[1])) if one[0] else one[1])
    rule = RULES[finding.rule]
    severity = badge(f"{finding.severity}{', allowed' if finding.allowed else ''}", tone)
    grave = finding.severity != "note" and not finding.allowed
    concerned = samples(finding, _PAIRS)
    return element(
        "article",
        element("h3", severity, f" {title(finding)} ", element("span", "at ", *places, class_="at")),
        element("p", finding.message),
        element("p", f"Accepted, {accepted(finding)}." if finding.by_design else "Allowed: by design.", class_="soft")
        if finding.allowed else None,
        element("p", element("b", "Why it matters: "), rule.why) if grave else None,
        element("p", element("b", "Fix: "), remedy_of(finding), class_="fix") if grave else None,
        element("p", f"Samples: {concerned}", class_="soft") if concerned else None,
        picture,
        class_=f"finding is-{tone}",
    )  # fmt: skip
