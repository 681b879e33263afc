"""The outcome of a comparison, for people: 80 columns, readable without colour."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from kmr_cli.records import Comparison, Difference
from kmr_cli.render.contents import Run
from kmr_cli.render.escape import for_terminal
from kmr_cli.render.headline import agreement, compared, how_compared
from kmr_cli.render.screen.grounds import print_grounds
from kmr_cli.render.screen.lines import print_hanging, print_not_examined
from kmr_cli.rules import RULES

_VERDICTS = {"pass": "green", "fail": "bold red", "inconclusive": "bold yellow"}
_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold"}
_SHOWN = 12
"""Findings of one rule and severity; the JSON has them all."""


def show_comparison(console: Console, result: Comparison, *, some_rules: bool = False, run: Run | None = None) -> None:
    """Verdict, outputs, findings in the order in which the layers ran.

    Args:
        console: where to.
        result: what was found.
        some_rules: rules were left out, so that a pass says nothing about what they look for.
        run: when and where; None if the time was not recorded.
    """
    style, meaning = _VERDICTS[result.verdict], compared(result, some_rules=some_rules)
    title = Text(for_terminal(result.path), "bold").append(" against ", "not bold")
    _print(console, title.append(for_terminal(result.baseline), "bold"))
    _print(console, Text(result.verdict, style).append(f": {meaning}", "not bold default"))
    _line(console, how_compared(result))
    for output in result.outputs:
        _line(console, agreement(output, exact=result.exact))
    print_not_examined(console, result.not_examined)
    shown: dict[tuple[str, str], int] = {}
    advised: set[str] = set()
    for finding in result.findings:
        kind = finding.severity, finding.rule
        shown[kind] = shown.get(kind, 0) + 1
        if shown[kind] <= _SHOWN:
            _finding(console, finding, advised)
    for (severity, code), count in shown.items():
        if count > _SHOWN:
            console.print()
            console.print(Text(f"… and {count - _SHOWN} more of {severity} {code}: --format json lists all"))
    for reason in result.inconclusive:
        console.print()
        label = Text("not compared: ", "bold yellow")
        print_hanging(console, label, Text(for_terminal(reason, 500)))
    print_grounds(console, result.grounds, run)


def _finding(console: Console, finding: Difference, advised: set[str]) -> None:
    """One finding; how to fix it stands under the first of its rule."""
    rule = RULES[finding.rule]
    console.print()
    call = f" call {finding.call}" if finding.call else ""
    title = Text(f"{finding.severity} {finding.rule} {rule.name}", _STYLES[finding.severity])
    title.append(f" at {for_terminal(finding.layer) or 'the model itself'}{call}", "bold default")
    if finding.counterpart is not None:
        title.append(f" (the baseline's '{for_terminal(finding.counterpart)}')", "not bold default")
    if finding.allowed:
        title.append(" (allowed)", "not bold default")
    _print(console, title)
    _line(console, for_terminal(finding.message, 1000))
    if finding.severity != "note" and not finding.allowed and finding.rule not in advised:
        advised.add(finding.rule)
        _line(console, f"fix: {rule.remedy}")


def _print(console: Console, text: Text) -> None:
    print_hanging(console, Text(), text)


def _line(console: Console, text: str) -> None:
    print_hanging(console, Text("  "), Text(text))
