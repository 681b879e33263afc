"""From the bytes of a file to findings."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Literal, cast

from kmr_cli.errors import KmrError, ModelFileError
from kmr_cli.formats import all_formats, detect
from kmr_cli.formats.interface import optional
from kmr_cli.records import Finding, Hazard, ScanReport
from kmr_cli.rules import TABLE, Rule
from kmr_cli.scan import pickled

MOST_PLACES = 50
"""Findings of one rule that are told of one by one: a file may hold any number of them."""
NOT_EXAMINED = (
    "what the weights make the model do",
    "code outside the file: custom classes and operators, and the framework itself",
)


def scan(path: Path) -> ScanReport:
    """Look for what loading or running a model file could do beside computing.

    Imports no framework and loads nothing that the file names.

    Args:
        path: a model file of a format that can be scanned, or a pickle as ``torch.save`` writes it.

    Raises:
        ModelFileError: nothing there, nothing that is a model, or a damaged one.
        KmrError: a format that cannot be scanned.
    """
    try:
        format_ = detect(path)
    except ModelFileError:
        if not pickled.holds_pickles(path):
            raise
        return judge(str(path), "pickle", pickled.scan(path), ("pickles",))
    look = optional(format_, "scan")
    if look is None:
        able = ", ".join(one.TITLE for one in all_formats() if optional(one, "scan") is not None)
        raise KmrError(f"{path.name}: a {format_.TITLE} cannot be scanned", f"formats that can: {able}")
    return judge(str(path), format_.NAME, look(path), optional(format_, "SCANNED") or ())


def judge(path: str, format_: str, hazards: Iterable[Hazard], parts: tuple[str, ...]) -> ScanReport:
    """What hazards mean.

    Args:
        path: of the file.
        format_: its format.
        hazards: that were found in it.
        parts: what was looked at.
    """
    rules = dict(_rules())
    found: dict[str, list[Hazard]] = {}
    for hazard in dict.fromkeys(hazards):
        found.setdefault(hazard.kind, []).append(hazard)
    findings = [finding for kind, rule in rules.items() for finding in _findings(rule, found.get(kind, []))]
    findings.sort(key=lambda finding: finding.severity != "error")
    foreign = [hazard.message for hazard in found.get("foreign", [])][:MOST_PLACES]
    bad = any(finding.severity == "error" for finding in findings)
    verdict = "fail" if bad else "inconclusive" if foreign else "pass"
    return ScanReport(
        cast(Literal["pass", "fail", "inconclusive"], verdict), path, format_, parts, tuple(findings),
        inconclusive=tuple(foreign), not_examined=NOT_EXAMINED,
    )  # fmt: skip


def _rules() -> Iterable[tuple[str, Rule]]:
    for module in dict.fromkeys(module for module in TABLE.values() if module.startswith("kmr_cli.scan.rules.")):
        loaded = import_module(module)
        yield loaded.KIND, loaded.RULES[0]


def _findings(rule: Rule, hazards: list[Hazard]) -> Iterable[Finding]:
    for hazard in hazards[:MOST_PLACES]:
        yield Finding(rule.code, rule.severity, hazard.place, 0, "", hazard.message, remedy=hazard.remedy)
    if len(hazards) > MOST_PLACES:
        more = f"and {len(hazards) - MOST_PLACES:,} more places of the same kind"
        yield Finding(rule.code, rule.severity, "", 0, "", more)
