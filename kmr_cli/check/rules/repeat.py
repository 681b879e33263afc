"""KMR301, KMR302: the same batch gives different values, by chance or by what earlier calls left behind."""

from __future__ import annotations

from kmr_cli.rules import Rule

NONDETERMINISTIC = Rule(
    "KMR301",
    "nondeterministic",
    "warning",
    "the same batch twice gives different values",
    "dropout left on or unseeded noise: answers cannot be reproduced, nor samples verified independent",
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
