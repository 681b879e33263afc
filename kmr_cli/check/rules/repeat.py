"""KMR301, KMR302: the same batch gives different values, by chance or by what earlier calls left behind."""

from __future__ import annotations

from kmr_cli.check.run import Run
from kmr_cli.rules import Rule

NONDETERMINISTIC = Rule(
    "KMR301",
    "nondeterministic",
    "warning",
    "the same batch twice gives different values",
    "dropout left on, or unseeded noise: answers can't be reproduced, nor samples verified as independent",
    "run and export the model in inference mode",
    headline="the same batch gives different answers",
    gravity=10,
)
STATEFUL = Rule(
    "KMR302",
    "stateful",
    "warning",
    "a result depends on earlier calls",
    "what one request left behind changes the next",
    "reset or remove the running state in inference",
    headline="answers depend on earlier calls",
    gravity=20,
)
RULES = (NONDETERMINISTIC, STATEFUL)


def judge(run: Run) -> None:
    """What the same batch gave twice, on one loaded instance."""
    nondeterministic = run.evidence.nondeterministic
    if not nondeterministic:
        return
    rule, text = NONDETERMINISTIC, "the same batch twice gives different values"
    if run.remembers:
        rule, text = STATEFUL, "the same batch gives other values after other calls: something is kept between calls"
    for source in run.sources(nondeterministic.__contains__):
        run.add(rule, source, text)
    for tap in run.outputs:
        if tap in nondeterministic:
            run.inconclusive.append(f"{run.title(tap)} changes from run to run, so nothing can be concluded from it")
