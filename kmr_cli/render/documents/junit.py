"""JUnit XML, as CI systems show it: one suite per model, one test per layer; what was not shown is never a pass."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from kmr_cli.records import Comparison, Finding, Report
from kmr_cli.render.contents import Outcome
from kmr_cli.render.documents.findings import (
    ITSELF,
    NOTHING_CHECKED,
    accepted,
    failing,
    itself,
    place,
    samples,
    shown,
    title,
    unchecked,
)
from kmr_cli.render.documents.grounds import rests_on
from kmr_cli.rules import remedy_of

_PROGRAM = "kmr-inspect"
MARK = r"<\?xml [^>]*\?>\s*<testsuites name=\"kmr-inspect\" "
"""How a document of ours begins."""


def render(outcomes: Sequence[Outcome]) -> str:
    """The outcomes as one document (``tests/schemas/junit-10.xsd``): ASCII only, ends with a line break.

    A layer fails where it has an error that is not allowed. Warnings, notes and what is allowed stand in its
    ``system-out``. What was not verified is a failure of the model, or ``skipped`` where that is accepted; a layer
    behind one that mixes samples is ``skipped`` too. What could not be checked is an ``error``.
    """
    root = ET.Element("testsuites", name=_PROGRAM)
    suites = [_suite(outcome) for outcome in outcomes] or [_empty()]
    root.extend(suites)
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in suites)))
    root.set("time", _seconds(sum(outcome.run.seconds for outcome in outcomes)))
    ET.indent(root)
    text = ET.tostring(root, encoding="us-ascii", xml_declaration=False).decode("ascii")
    return f"<?xml version='1.0' encoding='utf-8'?>\n{text}\n"


def _empty() -> ET.Element:
    case = ET.Element("testcase", classname=_PROGRAM, name=NOTHING_CHECKED, time=_seconds(0))
    ET.SubElement(case, "error", type="could-not-check", message=NOTHING_CHECKED)
    return _counted(_PROGRAM, [case], 0)


def _suite(outcome: Outcome) -> ET.Element:
    path = shown(outcome.path)
    by_layer: dict[str, list[Finding]] = {layer: [] for layer in outcome.layers if layer}
    for finding in outcome.findings:
        by_layer.setdefault(finding.layer, []).append(finding)
    of_it, whole_name = by_layer.pop("", []), itself(outcome.result)
    looked_at = set(outcome.layers)
    unjudged = outcome.result.unjudged if isinstance(outcome.result, (Report, Comparison)) else {}
    cases = [
        _case(path, shown(layer), found, _UNSEEN if layer not in looked_at else unjudged.get(layer))
        for layer, found in by_layer.items()
    ]
    whole = _case(path, whole_name, of_it, whole=whole_name)
    whole.set("time", _seconds(outcome.run.seconds))
    reason = unchecked(outcome)
    if reason is not None:
        whole.insert(0, _element("error", "could-not-check", reason, shown(outcome.hint or "")))
    elif outcome.verdict == "inconclusive" and whole.find("failure") is None:
        whole.insert(0, _element(_open(outcome), "inconclusive", "not everything could be verified"))
    cases.append(whole)
    for open_end in outcome.inconclusive:
        case = ET.Element("testcase", classname=path, name=f"not verified: {shown(open_end)}", time=_seconds(0))
        case.append(_element(_open(outcome), "inconclusive", shown(open_end)))
        cases.append(case)
    suite = _counted(f"{outcome.command} {path}", cases, outcome.run.seconds)
    if reason is None:
        suite.insert(0, _properties(outcome))
    return suite


def _open(outcome: Outcome) -> str:
    """The element for what was not verified."""
    return "skipped" if outcome.inconclusive_allowed else "failure"


def _properties(outcome: Outcome) -> ET.Element:
    """What the verdict rests on, and what it says nothing of."""
    element = ET.Element("properties")
    ET.SubElement(element, "property", name="basis", value=outcome.basis)
    for name, text in rests_on(outcome.result):
        ET.SubElement(element, "property", name=name, value=text)
    for line in outcome.not_examined:
        ET.SubElement(element, "property", name="not examined", value=shown(line))
    if outcome.run.date:
        ET.SubElement(element, "property", name="date", value=outcome.run.date)
    return element


_UNSEEN = "its values could not be compared, or it was not examined"


def _case(
    path: str, name: str, findings: Sequence[Finding], unjudged: str | None = None, *, whole: str = ITSELF
) -> ET.Element:
    """One test; ``unjudged`` says why it isn't one that passed, where it has no error."""
    case = ET.Element("testcase", classname=path, name=name, time=_seconds(0))
    errors = [finding for finding in findings if failing(finding)]
    if errors:  # one element for all: most viewers show the first and leave out the others
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        text = "\n\n".join(_lines(finding, whole) for finding in errors)
        case.append(_element("failure", title(errors[0]), shown(errors[0].message) + more, text))
    elif unjudged is not None:  # something may be said of it, and yet it was not judged: that isn't a pass
        case.append(_element("skipped", "inconclusive", shown(unjudged)))
    others = [finding for finding in findings if not failing(finding)]
    if others:
        ET.SubElement(case, "system-out").text = "\n\n".join(_lines(finding, whole) for finding in others)
    return case


def _lines(finding: Finding, whole: str) -> str:
    allowed = f" ({accepted(finding)})" if finding.allowed else ""
    lines = [
        f"{finding.severity} {title(finding)} at {place(finding, whole)} {shown(finding.port)}{allowed}",
        shown(finding.message),
    ]
    concerned = samples(finding)
    if concerned:
        lines.append(f"samples: {concerned}")
    if finding.severity != "note" and not finding.allowed:
        lines.append(f"fix: {remedy_of(finding)}")
    return "\n".join(lines)


def _element(tag: str, kind: str, message: str, text: str = "") -> ET.Element:
    element = ET.Element(tag, type=kind, message=message)
    element.text = text or None
    return element


def _counted(name: str, cases: Sequence[ET.Element], seconds: float) -> ET.Element:
    counts = {
        f"{tag}s" if tag != "skipped" else tag: str(sum(case.find(tag) is not None for case in cases))
        for tag in ("failure", "error", "skipped")
    }
    suite = ET.Element("testsuite", {"name": name, "tests": str(len(cases)), **counts, "time": _seconds(seconds)})
    suite.extend(cases)
    return suite


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
