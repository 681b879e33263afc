"""Annotations of GitHub Actions: what the runner finds on stdout and shows beside the files of a change.

The escapes are those of GitHub's own toolkit (``@actions/core``, ``command.ts``): ``%``, CR and LF in messages, and
``:`` and ``,`` as well in properties.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kmr_cli.records import Finding
from kmr_cli.render.contents import Outcome
from kmr_cli.render.documents.findings import NOTHING_CHECKED, accepted, itself, place, shown, tally, title, unchecked
from kmr_cli.render.documents.grounds import rests_on
from kmr_cli.rules import remedy_of

_LEVELS = {"error": "error", "warning": "warning", "note": "notice"}
_PLACES_SHOWN = 8


def render(outcomes: Sequence[Outcome]) -> str:
    """One line per annotation, those that fail first (a runner shows ten of a kind); then a line that sums up."""
    lines = [line for outcome in outcomes for line in _annotations(outcome)]
    if not outcomes:
        lines.append(_command("error", None, NOTHING_CHECKED, "no model was checked"))
    order = [f"::{level} " for level in _LEVELS.values()]
    lines.sort(key=lambda line: next(rank for rank, start in enumerate(order) if line.startswith(start)))
    return "\n".join([*lines, f"kmr-inspect: {tally(outcomes)}"]) + "\n"


def _annotations(outcome: Outcome) -> Iterator[str]:
    reason = unchecked(outcome)
    if reason is not None:
        text = reason if outcome.hint is None else f"{reason}\n{shown(outcome.hint)}"
        yield _command("error", outcome.path, "could not be checked", text)
    alike: dict[tuple[str, str], list[Finding]] = {}
    for finding in outcome.findings:
        if finding.severity != "note" and not finding.allowed:
            fix = f"\nfix: {remedy_of(finding)}"
            text = f"{place(finding, itself(outcome.result))}: {shown(finding.message)}{fix}"
            yield _command(_LEVELS[finding.severity], outcome.path, title(finding), text)
        else:
            name = f"{title(finding)} ({accepted(finding)})" if finding.allowed else title(finding)
            alike.setdefault((name, finding.message), []).append(finding)
    for (name, message), findings in alike.items():  # notes of very many layers would hide the others
        places = list(dict.fromkeys(place(finding, itself(outcome.result)) for finding in findings))
        more = f" and {len(places) - _PLACES_SHOWN} more" if len(places) > _PLACES_SHOWN else ""
        yield _command("notice", outcome.path, name, f"{', '.join(places[:_PLACES_SHOWN])}{more}: {shown(message)}")
    for open_end in outcome.inconclusive:
        level = "warning" if outcome.inconclusive_allowed else "error"
        yield _command(level, outcome.path, "not verified", shown(open_end))
    if outcome.not_examined:
        yield _command("notice", outcome.path, "not examined", "\n".join(map(shown, outcome.not_examined)))
    known = [f"{what}: {text}" for what, text in rests_on(outcome.result)]
    if known:
        yield _command("notice", outcome.path, "what the verdict rests on", "\n".join(known))


def _command(level: str, path: str | None, name: str, text: str) -> str:
    file = "" if path is None else f"file={_property(shown(path))},"
    return f"::{level} {file}title={_property(name)}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
