"""KMR301, KMR302: the same batch gives different values, by chance or by what earlier calls left behind."""

from __future__ import annotations

from collections.abc import Collection

from kmr_cli.check.run import Run
from kmr_cli.evidence.taps import Tap
from kmr_cli.rules import Rule, Severity

NONDETERMINISTIC = Rule(
    "KMR301",
    "nondeterministic",
    "warning",
    "the same batch twice gives different values",
    "with dropout left on, or unseeded noise, answers can't be reproduced and independence can't be verified",
    "run and export the model in inference mode",
    headline="the same batch gives different answers",
    gravity=10,
)
STATEFUL = Rule(
    "KMR302",
    "stateful",
    "error",
    "a result depends on earlier calls",
    "what one request left behind changes the answer to the next, which may be another user's",
    "reset what is kept before every call, or remove it from inference: running statistics, caches, recurrent states",
    others=(("warning", "only the number of calls matters, or no output shows it"),),
    headline="answers depend on earlier calls",
    gravity=85,
)
RULES = (NONDETERMINISTIC, STATEFUL)


def judge(run: Run) -> None:
    """What the same batch gave twice, on one loaded instance, and after other calls. Takes back what it said before."""
    run.claims = [claim for claim in run.claims if claim.finding.rule not in {rule.code for rule in RULES}]
    nondeterministic = run.evidence.nondeterministic
    kept = run.recalled if run.recalled else nondeterministic if run.remembers else set()
    if kept:
        severity, text = _about_state(run, kept)
        for source in run.sources(kept.__contains__):
            run.add(STATEFUL, source, text, severity=severity)
    if nondeterministic - kept:
        for source in run.sources(nondeterministic.__contains__):
            run.add(NONDETERMINISTIC, source, NONDETERMINISTIC.found_when)
    for tap in run.outputs:
        if tap in nondeterministic:
            run.inconclusive.append(
                f"{run.title(tap)} changes from run to run, so nothing can be concluded from it: see KMR301 or KMR302"
                " for the layer, and let it draw no random numbers in inference"
            )
        elif tap in kept and not run.by_data:
            run.inconclusive.append(f"{run.title(tap)} changes from call to call: only the first call was examined")


def _about_state(run: Run, kept: Collection[Tap]) -> tuple[Severity, str]:
    """What is kept between calls, and how bad that is: who called before, or only how often."""
    if run.by_data:
        return "error", "the same batch gives different values after a call with other data: something of it is kept"
    if not any(tap in kept for tap in run.outputs):
        return "warning", "something is kept between calls and changes values here, though no output on this data"
    return (
        "warning",
        "the same batch gives different values at a later call, whatever data came before: calls are counted",
    )
