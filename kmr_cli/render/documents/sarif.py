"""SARIF 2.1.0 (OASIS, 2020): what code scanning reads. Every rule carries its reason and its remedy."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kmr_cli.records import Difference, Finding, Report
from kmr_cli.render.contents import Outcome, Run
from kmr_cli.render.documents.findings import NOTHING_CHECKED, accepted, shown, there, unchecked
from kmr_cli.render.documents.json import dumps, grounds, proof
from kmr_cli.rules import RULES
from kmr_cli.version import __version__

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
MARK = (
    r'\s*\{\s*"\$schema": "[^"]*",\s*"version": "2.1.0",\s*"runs": \[\s*\{'
    r'\s*"tool": \{\s*"driver": \{\s*"name": "kmr-inspect",'
)
"""How a document of ours begins."""
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_OPEN = "inconclusive"
"""Rule id of what was not verified: it isn't a finding, so it has no code."""
_OPEN_RULE = {
    "id": _OPEN,
    "name": "inconclusive",
    "shortDescription": {"text": "something could not be verified"},
    "fullDescription": {"text": "what no replaced sample changed is not verified as independent"},
    "help": {
        "text": "give data to which this part reacts (--input)",
        "markdown": "**Fix:** give data to which this part reacts (`--input`)",
    },
    "defaultConfiguration": {"level": "none"},
}


def render(outcomes: Sequence[Outcome]) -> str:
    """The outcomes as one run; ASCII only, ends with a line break.

    Findings are results of kind ``fail``, suppressed where they are allowed. What was not verified is a
    result of kind ``open``, suppressed where that is accepted. What could not be checked makes the invocation
    unsuccessful, and so does having checked nothing at all.
    """
    rules = sorted({finding.rule for outcome in outcomes for finding in outcome.findings})
    descriptors = [_rule(code) for code in rules]
    if any(outcome.inconclusive for outcome in outcomes):
        descriptors.append(_OPEN_RULE)
        rules.append(_OPEN)
    seen: Counter[str] = Counter()
    results = []
    for outcome in outcomes:
        for finding in outcome.findings:
            results.append(_result(outcome, finding, rules.index(finding.rule), seen))
        for open_end in outcome.inconclusive:
            results.append(_open_result(outcome, open_end, rules.index(_OPEN), seen))
    notifications = [_notification(outcome, reason) for outcome in outcomes if (reason := unchecked(outcome))]
    if not outcomes:
        notifications.append({"level": "error", "message": {"text": NOTHING_CHECKED}})
    invocation: dict[str, Any] = {"executionSuccessful": not notifications, **_when([one.run for one in outcomes])}
    if notifications:
        invocation["toolExecutionNotifications"] = notifications
    run: dict[str, Any] = {
        "tool": {"driver": {"name": "kmr-inspect", "semanticVersion": __version__, "rules": descriptors}},
        "invocations": [invocation],
        "results": results,
    }
    if outcomes:  # results of two commands stand beside each other, instead of replacing each other
        run["automationDetails"] = {"id": f"kmr-inspect/{outcomes[0].command}/"}
        run["properties"] = {"models": [_verdict(outcome) for outcome in outcomes]}
    return dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _when(runs: Sequence[Run]) -> dict[str, str]:
    """When the first began, when the last ended, and where: all that differs between two runs of the same command."""
    times = [(datetime.fromisoformat(run.date.replace("Z", "+00:00")), run.seconds) for run in runs if run.date]
    if not times:
        return {}
    began = min(date for date, _ in times)
    ended = max(date + timedelta(seconds=seconds) for date, seconds in times)
    return {"startTimeUtc": f"{began:{_TIME}}", "endTimeUtc": f"{ended:{_TIME}}", "machine": runs[0].machine}


def _verdict(outcome: Outcome) -> dict[str, Any]:
    judged = unchecked(outcome) is None
    return {
        "model": _unicode(outcome.path),
        "verdict": outcome.verdict if judged else "error",
        "basis": outcome.basis if judged else None,
        "notExamined": [shown(line) for line in outcome.not_examined],
        "grounds": grounds(outcome.grounds) if judged else None,
        **_proof(outcome),
    }


def _proof(outcome: Outcome) -> dict[str, Any]:
    """What the graph says of the model, where it was asked."""
    report = outcome.result
    if not isinstance(report, Report) or report.proof is None:
        return {}
    return {"proof": proof(report.proof, report.claims_held)}


def _rule(code: str) -> dict[str, Any]:
    rule = RULES[code]
    return {
        "id": code,
        "name": rule.name,
        "shortDescription": {"text": rule.found_when},
        "fullDescription": {"text": rule.why},
        "help": {
            "text": f"found when: {rule.found_when}\nwhy it matters: {rule.why}\nfix: {rule.remedy}",
            "markdown": f"**Found when** {rule.found_when}\n\n**Why it matters:** {rule.why}\n\n**Fix:** {rule.remedy}",
        },
        "defaultConfiguration": {"level": rule.severity},
    }


def _result(outcome: Outcome, finding: Finding, rule: int, seen: Counter[str]) -> dict[str, Any]:
    identity = (outcome.command, outcome.path, finding.rule, finding.layer, str(finding.call), finding.port)
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": rule,
        "kind": "fail",
        "level": finding.severity,
        "message": _message(f"{finding.message}{there(finding)}"),
        "locations": [_location(outcome.path, finding.layer)],
        "partialFingerprints": _fingerprints(identity, seen),
        "properties": {"call": finding.call, "port": finding.port, "samples": _samples(finding)},
    }
    if finding.allowed:
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": accepted(finding)}]
    return result


def _samples(finding: Finding) -> list[Any]:
    """Samples that a comparison found changed, or pairs (moved, changed) of a check."""
    return list(finding.where) if isinstance(finding, Difference) else [list(pair) for pair in finding.samples]


def _open_result(outcome: Outcome, reason: str, rule: int, seen: Counter[str]) -> dict[str, Any]:
    accepted_by = {"kind": "external", "status": "accepted", "justification": "allow-inconclusive"}
    return {
        "ruleId": _OPEN,
        "ruleIndex": rule,
        "kind": "open",
        "level": "none",
        "message": _message(reason),
        "locations": [_location(outcome.path, "")],
        "partialFingerprints": _fingerprints((outcome.command, outcome.path, _OPEN, reason), seen),
        **({"suppressions": [accepted_by]} if outcome.inconclusive_allowed else {}),
    }


def _notification(outcome: Outcome, reason: str) -> dict[str, Any]:
    hint = () if outcome.hint is None else (f"hint: {outcome.hint}",)
    return {"level": "error", "message": _message(reason, *hint), "locations": [_location(outcome.path, "")]}


def _message(*lines: str) -> dict[str, str]:
    """What looks like a link in a message is one (section 3.11.6): a name from a file must not make one."""
    text = "\n".join(map(shown, lines))
    return {"text": re.sub(r"\[(?=[^\]]*\]\()", r"\\[", text)}


def _location(path: str, layer: str) -> dict[str, Any]:
    # A model has no lines; code scanning wants one all the same.
    place: dict[str, Any] = {"artifactLocation": _artifact(path), "region": {"startLine": 1}}
    location: dict[str, Any] = {"physicalLocation": place}
    if layer:
        full = _unicode(layer)
        location["logicalLocations"] = [{"fullyQualifiedName": full, "kind": "module"}]
    return location


def _artifact(path: str) -> dict[str, Any]:
    """A URI relative to the folder that the command ran in, where the file lies below it."""
    whole = Path(path)
    if whole.is_absolute() and whole.is_relative_to(Path.cwd()):
        path = str(whole.relative_to(Path.cwd()))
    encoded = quote(_bytes(path), safe="/")
    if path.startswith("/"):
        return {"uri": f"file://{encoded}"}
    return {"uri": encoded, "uriBaseId": "%SRCROOT%"}


def _fingerprints(identity: Sequence[str], seen: Counter[str]) -> dict[str, str]:
    """By what a finding is about, so that it stays the same finding when its wording or figures change."""
    digest = hashlib.sha256("\0".join(identity).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    seen[digest] += 1
    value = f"{digest}:{seen[digest]}"
    return {"kmrFinding/v1": value, "primaryLocationLineHash": value}  # the second is the one that GitHub looks at


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")  # a file's name as the system has it
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _unicode(text: str) -> str:
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")
