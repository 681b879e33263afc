"""What a verdict rests on, for people: the last lines of a report."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from kmr_cli.records import Grounds
from kmr_cli.render.contents import Run
from kmr_cli.render.documents.grounds import brief, data_lines, skipped_rules, versions
from kmr_cli.render.escape import for_terminal
from kmr_cli.render.screen.lines import print_hanging


def print_grounds(console: Console, grounds: Grounds, run: Run | None = None) -> None:
    """Files, data, rules and versions, each on a line of its own; nothing where nothing is known.

    Args:
        console: where to.
        grounds: of the verdict.
        run: when, for how long and where; None if the time was not recorded.
    """
    told = list(_lines(grounds))
    if run is not None and run.date and told:
        told.append(("run", f"{run.date}, {run.seconds:.1f} s, {for_terminal(run.machine)}"))
    if told:
        console.print()
    for label, text in told:
        print_hanging(console, Text(f"  {label}: ", "dim"), Text(text))


def _lines(grounds: Grounds) -> Iterator[tuple[str, str]]:
    if grounds.model:
        yield "model", brief(grounds.model)
    if grounds.baseline:
        yield "baseline", brief(grounds.baseline)
    if grounds.data is not None:
        yield "data", "; ".join(data_lines(grounds.data))
    if grounds.methods:
        yield "run as", ", ".join(map(for_terminal, grounds.methods))
    if grounds.masks:
        yield "masks", ", ".join(map(for_terminal, grounds.masks))
    if grounds.rules or grounds.skipped:
        yield "rules", "; ".join([f"{len(grounds.rules)} checked", *_not(grounds)])
    if grounds.policy:
        yield "policy", "; ".join(map(for_terminal, grounds.policy))
    if grounds.trusted:
        yield "trusted", f"the {' and the '.join(grounds.trusted)}: loaded whatever a scan finds (--trust)"
    if grounds.versions:
        yield "versions", versions(grounds.versions)


def _not(grounds: Grounds) -> list[str]:
    return [f"not {text}" for text in skipped_rules(grounds)]
