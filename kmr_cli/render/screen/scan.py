"""The outcome of a scan, for people: 80 columns, readable without colour."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from kmr_cli.records import ScanReport
from kmr_cli.render.contents import Run
from kmr_cli.render.escape import for_terminal
from kmr_cli.render.headline import scanned
from kmr_cli.render.screen.grounds import print_grounds
from kmr_cli.render.screen.lines import print_hanging, print_not_examined
from kmr_cli.rules import RULES, remedy_of

_VERDICTS = {"pass": "green", "fail": "bold red", "inconclusive": "bold yellow"}
_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold"}


def show_scan(console: Console, report: ScanReport, run: Run | None = None) -> None:
    """Verdict, what was looked at, findings.

    Args:
        console: where to.
        report: what was found.
        run: when and where; None if the time was not recorded.
    """
    print_hanging(console, Text(), Text(for_terminal(report.path), "bold"))
    verdict = Text(report.verdict, _VERDICTS[report.verdict])
    print_hanging(console, Text(), verdict.append(f": {scanned(report)}", "not bold default"))
    if report.parts:
        print_hanging(console, Text("  examined: "), Text("; ".join(for_terminal(part, 500) for part in report.parts)))
    print_not_examined(console, report.not_examined)
    for finding in report.findings:
        rule = RULES[finding.rule]
        console.print()
        title = Text(f"{finding.severity} {finding.rule} {rule.name}", _STYLES[finding.severity])
        if finding.layer:
            title.append(f" at {for_terminal(finding.layer, 300)}", "bold default")
        print_hanging(console, Text(), title)
        print_hanging(console, Text("  "), Text(for_terminal(finding.message, 1000)))
        print_hanging(console, Text("  fix: "), Text(for_terminal(remedy_of(finding), 1000)))
    print_grounds(console, report.grounds, run)
