"""The outcome of a check, for people: 80 columns, readable without colour."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from kmr_cli.check.bundled import Case
from kmr_cli.records import Finding, Report
from kmr_cli.render.contents import Run
from kmr_cli.render.documents.findings import accepted, dependences, itself
from kmr_cli.render.documents.grounds import proof_lines
from kmr_cli.render.escape import for_terminal
from kmr_cli.render.headline import allowances, headline, kinds_of_taps, passes_run
from kmr_cli.render.screen.grounds import print_grounds
from kmr_cli.render.screen.lines import print_hanging, print_not_examined
from kmr_cli.render.screen.pictures import pictures
from kmr_cli.rules import RULES, remedy_of

_VERDICTS = {"pass": "green", "fail": "bold red", "inconclusive": "bold yellow"}
_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold"}
_NOTES_SHOWN = 6
_PLACES_SHOWN = 8


def show_report(console: Console, report: Report, *, some_rules: bool = False, run: Run | None = None) -> None:
    """Verdict, picture, findings, what stays open.

    Args:
        console: where to.
        report: what was found.
        some_rules: rules were left out, so that a pass says nothing about what they look for.
        run: when and where; None if the time was not recorded.
    """
    title = Text(for_terminal(report.path), "bold")
    _print(console, title.append(", in training mode" if report.training else "", "not bold default"))
    verdict = Text(report.verdict, _VERDICTS[report.verdict])
    _print(console, verdict.append(f": {headline(report, some_rules=some_rules)}", "not bold default"))
    _line(console, passes_run(report))
    if report.held_passes:
        held = f"{report.held_passes} of the passes ran with the layers that mix by design put into inference mode"
        _line(console, held)
    kinds = kinds_of_taps(report)
    if kinds:
        _line(console, f"taps: {kinds}")
    elif report.verdict == "fail" and report.batch_sizes:
        _line(console, f"it does not run on a batch of {report.batch_sizes[0]}, so little else could be checked")
    for line in proof_lines(report):
        _line(console, line if line.startswith(("not proven", "proven")) else f"proof: {line}")
    print_not_examined(console, report.not_examined)
    for meaning in allowances(report):
        _line(console, meaning)
    for picture in pictures(report):
        console.print()
        for line in picture:
            _line(console, line)
    for finding in report.findings:
        if finding.severity != "note":
            _finding(console, finding, itself(report))
    _notes(console, [finding for finding in report.findings if finding.severity == "note"], itself(report))
    for reason in report.inconclusive:
        console.print()
        _print(console, Text("not verified: ", "bold yellow").append(for_terminal(reason, 500), "not bold default"))
    print_grounds(console, report.grounds, run)


def show_library(console: Console, checked: Sequence[tuple[Case, Report]]) -> None:
    """The bundled layers, one line for every form."""
    rows = [(case.layer, case.form, _in_runs(report.batch_sizes)) for case, report in checked]
    titles = ("layer", "form", "batch sizes")
    widths = [max(map(len, column)) + 2 for column in zip(titles, *rows, strict=True)]
    head = "".join(title.ljust(width) for title, width in zip(titles, widths, strict=True))
    console.print(Text(f"{head}verdict", "bold"))
    for row, (case, report) in zip(rows, checked, strict=True):
        label = Text("".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
        style = _VERDICTS[report.verdict]
        verdict = Text("by design") if case.by_design else Text(report.verdict, style)
        print_hanging(console, label, verdict.append(_whereabouts(report), "not bold default"))
        if case.by_design:
            _line(console, f"because {case.by_design}")
        for finding in report.findings:
            if finding.severity == "error" and not finding.allowed:
                _line(console, f"{finding.rule} {RULES[finding.rule].name}: {for_terminal(finding.message, 500)}")
        for reason in report.inconclusive if not case.by_design else ():
            _line(console, f"not verified: {for_terminal(reason, 500)}")
    console.print()
    mode = " in training mode" if any(report.training for _, report in checked) else ""
    console.print(Text(f"{len(checked)} forms of the bundled layers checked{mode}"))


def _in_runs(sizes: Sequence[int]) -> str:
    """Sizes in order, those that follow each other as one: ``1-3 5 7-8``."""
    runs: list[list[int]] = []
    for size in sorted(set(sizes)):
        if runs and size == runs[-1][-1] + 1:
            runs[-1].append(size)
        else:
            runs.append([size])
    return " ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _whereabouts(report: Report) -> str:
    """Where the batch went, if it left axis 0."""
    axes = {tap.index.axis for tap in report.taps if not tap.layer and tap.index.axis}
    return f", axis {' or '.join(map(str, sorted(axes)))}" if axes else ""


def _notes(console: Console, notes: Sequence[Finding], whole: str) -> None:
    """Notes that say the same of several layers are one."""
    places: dict[tuple[str, str], list[str]] = {}
    for note in notes:
        places.setdefault((note.rule, note.message), []).append(_place(note, whole))
    # Hiding a single one would take as many lines as it does itself.
    shown = len(places) if len(places) <= _NOTES_SHOWN + 1 else _NOTES_SHOWN
    for (rule, message), layers in list(places.items())[:shown]:
        console.print()
        distinct = list(dict.fromkeys(layers))
        at = ", ".join(distinct[:_PLACES_SHOWN])
        if len(distinct) > _PLACES_SHOWN:
            at += f" and {len(distinct) - _PLACES_SHOWN} more"
        title = Text(f"note {rule} {RULES[rule].name}", _STYLES["note"])
        _print(console, title.append(f" at {at}", "not bold default"))
        _line(console, for_terminal(message, 1000))
    if len(places) > shown:
        console.print()
        console.print(Text(f"… and {len(places) - shown} more notes: --format json lists all"))


def _finding(console: Console, finding: Finding, whole: str) -> None:
    rule = RULES[finding.rule]
    console.print()
    title = Text(f"{finding.severity} {finding.rule} {rule.name}", _STYLES[finding.severity])
    title.append(f" at {_place(finding, whole)}", "bold default")
    if finding.allowed:
        title.append(f" ({accepted(finding)})", "not bold default")
    _print(console, title)
    _line(console, for_terminal(finding.message, 1000))
    if finding.samples:
        _line(console, f"samples: {dependences(finding, 6)}")
    if finding.severity != "note" and not finding.allowed:
        _line(console, f"fix: {for_terminal(remedy_of(finding), 1000)}")


def _place(finding: Finding, whole: str) -> str:
    call = f" call {finding.call}" if finding.call else ""
    return f"{for_terminal(finding.layer) or whole}{call}"


def _print(console: Console, text: Text) -> None:
    print_hanging(console, Text(), text)


def _line(console: Console, text: str) -> None:
    print_hanging(console, Text("  "), Text(text))
