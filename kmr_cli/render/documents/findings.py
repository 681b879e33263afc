"""What the formats for CI have in common: the words for a finding, and what became of a run as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from kmr_cli.records import Difference, Finding
from kmr_cli.render.contents import Outcome
from kmr_cli.render.counts import counted
from kmr_cli.render.escape import for_terminal
from kmr_cli.rules import RULES

LONGEST = 20_000
"""Characters of a name or message that are kept: the formats for machines cut nothing that a file can sensibly hold."""
NOTHING_CHECKED = "nothing was checked"
ITSELF = "the model itself"
"""What stands for the layer ``""``: the model's own forward code and its outputs."""


def title(finding: Finding) -> str:
    """``KMR101 cross-sample-leak``."""
    return f"{finding.rule} {RULES[finding.rule].name}"


def shown(text: str) -> str:
    """One printable line of a name or message from a file, however long."""
    return for_terminal(text, LONGEST)


def itself(result: object) -> str:
    """What stands for the layer ``""`` in a result: the model, or the layer class that was looked at."""
    from kmr_cli.formats.layer_class import NAME  # only where something is found: listing layers needs none of it

    return "the layer itself" if getattr(result, "format", "") == NAME else ITSELF


def place(finding: Finding, itself: str = ITSELF) -> str:
    """The layer, the call where it runs several times, and what the baseline calls it where that is something else."""
    call = f" call {finding.call}" if finding.call else ""
    return f"{shown(finding.layer) or itself}{call}{there(finding)}"


def there(finding: Finding) -> str:
    """`` (the baseline's 'conv_b')`` where a comparison found it at a layer that has another path there."""
    other = finding.counterpart if isinstance(finding, Difference) else None
    return "" if other is None else f" (the baseline's '{shown(other)}')"


def samples(finding: Finding, most: int | None = None) -> str:
    """The samples that it is about: ``0, 1, 4``, or who depends on whom (at most so many); empty where it has none."""
    if isinstance(finding, Difference):
        return ", ".join(map(str, finding.where))
    return dependences(finding, most)


def dependences(finding: Finding, most: int | None = None) -> str:
    """``3 depends on 0, 4 on 0, …``: whose output moved with whose input; at most so many."""
    words = ("depends on", *["on"] * len(finding.samples))
    pairs = [f"{moved} {word} {changed}" for word, (moved, changed) in zip(words, finding.samples[:most], strict=False)]
    return ", ".join(pairs) + (", …" if len(pairs) < len(finding.samples) else "")


def accepted(finding: Finding) -> str:
    """Why an allowed finding isn't a reason to fail."""
    return "by design in training mode" if finding.by_design else "allowed: by design"


def failing(finding: Finding) -> bool:
    """Whether it is a reason to fail."""
    return finding.severity == "error" and not finding.allowed


def unchecked(outcome: Outcome) -> str | None:
    """Why this outcome says nothing of the model, or None where it does say something."""
    if outcome.verdict == "error" or outcome.error is not None:
        return shown(outcome.error or NOTHING_CHECKED)
    return None if outcome.layers or outcome.findings else NOTHING_CHECKED


def word_of(outcome: Outcome) -> str:
    """The verdict, or ``not checked`` where there is none."""
    return "not checked" if unchecked(outcome) else outcome.verdict


def numbers(findings: Iterable[Finding]) -> str:
    """``2 errors, 1 warning, 4 notes, 1 allowed``; empty where there are none."""
    kinds = Counter("allowed" if finding.allowed else finding.severity for finding in findings)
    found = [counted(kinds[kind], kind) for kind in ("error", "warning", "note") if kinds[kind]]
    if kinds["allowed"]:
        found.append(f"{kinds['allowed']} allowed")
    return ", ".join(found)


def tally(outcomes: Sequence[Outcome]) -> str:
    """``3 models: 1 pass, 1 fail, 1 not checked; 2 errors, 1 warning, 4 notes``. Free of names."""
    if not outcomes:
        return NOTHING_CHECKED
    verdicts = Counter(map(word_of, outcomes))
    ran = [
        f"{verdicts[verdict]} {verdict}"
        for verdict in ("pass", "fail", "inconclusive", "not checked")
        if verdicts[verdict]
    ]
    found = numbers(finding for outcome in outcomes for finding in outcome.findings)
    return f"{counted(len(outcomes), 'model')}: {', '.join(ran)}; {found or 'no findings'}"
