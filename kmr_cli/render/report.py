"""The outcome of a check, for people: 80 columns, readable without colour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from kmr_cli.library import Case
from kmr_cli.records import Dependence, Finding, Report
from kmr_cli.render.escape import for_terminal
from kmr_cli.render.findings import dependences
from kmr_cli.render.lines import print_hanging
from kmr_cli.rules import RULES

_VERDICTS = {
    "pass": ("green", "the samples of a batch are independent at every layer"),
    "fail": ("bold red", "samples of a batch cannot be told apart, or change each other"),
    "unproven": ("bold yellow", "not everything could be shown either way"),
}
_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold"}
_NOTES_SHOWN = 6
_PLACES_SHOWN = 8


def show_report(console: Console, report: Report, *, some_rules: bool = False) -> None:
    """Verdict, picture, findings, what stays open.

    Args:
        console: where to.
        report: what was found.
        some_rules: rules were left out, so that a pass says nothing about what they look for.
    """
    style, _ = _VERDICTS[report.verdict]
    title = Text(for_terminal(report.path), "bold")
    console.print(title.append(", in training mode" if report.training else "", "not bold default"))
    console.print(Text(report.verdict, style).append(f": {_meaning(report, some_rules)}", "not bold default"))
    sizes = ", ".join(map(str, sorted(report.batch_sizes)))
    layers = len({tap.layer for tap in report.taps if tap.layer})
    _line(console, f"{report.forward_passes} forward passes, batch sizes {sizes}; {layers} layers tapped")
    if report.held_passes:
        held = f"{report.held_passes} of the passes: what mixes by design held to inference, to see past it"
        _line(console, held)
    kinds = Counter(tap.index.kind for tap in report.taps)
    _line(console, "taps: " + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
    allowed = [finding for finding in report.findings if finding.allowed and not finding.by_design]
    if any(finding.rule == "KMR101" for finding in allowed):
        _line(console, "what comes after a layer that is allowed to mix cannot be judged")
    for picture in report.dependence:
        _picture(console, picture)
    for finding in report.findings:
        if finding.severity != "note":
            _finding(console, finding)
    _notes(console, [finding for finding in report.findings if finding.severity == "note"])
    for reason in report.unproven:
        console.print()
        console.print(Text("not shown: ", "bold yellow").append(for_terminal(reason, 500), "not bold default"))


def _meaning(report: Report, some_rules: bool) -> str:
    """What the verdict claims, and no more than that."""
    if report.verdict == "pass":
        if some_rules:
            return "no error by the rules that --select and --ignore leave"
        mixes = [finding for finding in report.findings if finding.allowed and finding.severity == "error"]
        if mixes and all(finding.by_design for finding in mixes):
            return "the samples of a batch mix only where that is by design in training mode"
        if mixes:
            also = " or by design" if any(finding.by_design for finding in mixes) else ""
            return f"the samples of a batch mix only where that is allowed{also}"
        silent = sum(tap.index.kind == "unproven" for tap in report.taps)
        if silent:
            inside = "1 value" if silent == 1 else f"{silent} values"
            return f"every output depends on its own sample alone; {inside} inside showed nothing either way"
    return _VERDICTS[report.verdict][1]


def show_library(console: Console, checked: Sequence[tuple[Case, Report]]) -> None:
    """The bundled layers, one line for every form."""
    rows = [(case.layer, case.form, " ".join(map(str, sorted(report.batch_sizes)))) for case, report in checked]
    titles = ("layer", "form", "batch sizes")
    widths = [max(map(len, column)) + 2 for column in zip(titles, *rows, strict=True)]
    head = "".join(title.ljust(width) for title, width in zip(titles, widths, strict=True))
    console.print(Text(f"{head}verdict", "bold"))
    for row, (case, report) in zip(rows, checked, strict=True):
        label = Text("".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
        style, _ = _VERDICTS[report.verdict]
        verdict = Text("by design") if case.by_design else Text(report.verdict, style)
        print_hanging(console, label, verdict.append(_whereabouts(report), "not bold default"))
        if case.by_design:
            _line(console, f"because {case.by_design}")
        for finding in report.findings:
            if finding.severity == "error" and not finding.allowed:
                _line(console, f"{finding.rule} {RULES[finding.rule].name}: {for_terminal(finding.message, 500)}")
        for reason in report.unproven if not case.by_design else ():
            _line(console, f"not shown: {for_terminal(reason, 500)}")
    console.print()
    mode = " in training mode" if any(report.training for _, report in checked) else ""
    console.print(Text(f"{len(checked)} forms of the bundled layers checked{mode}"))


def _whereabouts(report: Report) -> str:
    """Where the batch went, if it left axis 0."""
    axes = {tap.index.axis for tap in report.taps if not tap.layer and tap.index.axis}
    return f", axis {' or '.join(map(str, sorted(axes)))}" if axes else ""


def _picture(console: Console, picture: Dependence) -> None:
    """Rows are the samples that were replaced, columns the samples whose output changed."""
    size = len(picture.moved)
    console.print()
    _line(console, f"{for_terminal(picture.title or picture.output)}: replaced sample (down), changed sample (across)")
    width = len(str(size - 1))
    _line(console, " " * (width + 2) + " ".join(str(sample).rjust(width) for sample in range(size)))
    for sample, row in enumerate(picture.moved):
        marks = " ".join(("x" if moved else ".").rjust(width) for moved in row)
        _line(console, f"{str(sample).rjust(width)}  {marks}")


def _notes(console: Console, notes: Sequence[Finding]) -> None:
    """Notes that say the same of several layers are one."""
    places: dict[tuple[str, str], list[str]] = {}
    for note in notes:
        places.setdefault((note.rule, note.message), []).append(_place(note))
    # Hiding a single one would take as many lines as it does itself.
    shown = len(places) if len(places) <= _NOTES_SHOWN + 1 else _NOTES_SHOWN
    for (rule, message), layers in list(places.items())[:shown]:
        console.print()
        distinct = list(dict.fromkeys(layers))
        at = ", ".join(distinct[:_PLACES_SHOWN])
        if len(distinct) > _PLACES_SHOWN:
            at += f" and {len(distinct) - _PLACES_SHOWN} more"
        title = Text(f"note {rule} {RULES[rule].name}", _STYLES["note"])
        _print_title(console, title.append(f" at {at}", "not bold default"))
        _line(console, for_terminal(message, 1000))
    if len(places) > shown:
        console.print()
        console.print(Text(f"… and {len(places) - shown} more notes: --format json lists all"))


def _finding(console: Console, finding: Finding) -> None:
    rule = RULES[finding.rule]
    console.print()
    title = Text(f"{finding.severity} {finding.rule} {rule.name}", _STYLES[finding.severity])
    title.append(f" at {_place(finding)}", "bold default")
    if finding.allowed:
        reason = "by design in training mode" if finding.by_design else "allowed: by design"
        title.append(f" ({reason})", "not bold default")
    _print_title(console, title)
    _line(console, for_terminal(finding.message, 1000))
    if finding.samples:
        _line(console, f"samples: {dependences(finding, 6)}")
    if finding.severity != "note" and not finding.allowed:
        _line(console, f"fix: {rule.remedy}")


def _place(finding: Finding) -> str:
    call = f" call {finding.call}" if finding.call else ""
    return f"{for_terminal(finding.layer) or 'the model itself'}{call}"


def _print_title(console: Console, title: Text) -> None:
    print_hanging(console, Text(), title)


def _line(console: Console, text: str) -> None:
    print_hanging(console, Text("  "), Text(text))
