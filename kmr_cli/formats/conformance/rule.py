"""A rule of the kit, and what it raises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kmr_cli.formats.conformance.example import Example, Opened


@dataclass(frozen=True)
class Rule:
    """One promise: call it with an opened example.

    Attributes:
        name: for the names of tests.
        check: raises ConformanceError where the promise is broken.
        applies: whether an example can show anything about it.
    """

    name: str
    check: Callable[[Opened], None]
    applies: Callable[[Example], bool]

    def __call__(self, found: Opened) -> None:
        """Check it.

        Raises:
            ConformanceError: it does not hold.
        """
        self.check(found)

    def __str__(self) -> str:
        return self.name


def rule(
    rules: list[Rule], applies: Callable[[Example], bool] = lambda _: True
) -> Callable[[Callable[[Opened], None]], Callable[[Opened], None]]:
    """Add a function to a list of rules, under its own name."""

    def added(check: Callable[[Opened], None]) -> Callable[[Opened], None]:
        rules.append(Rule(check.__name__, check, applies))
        return check

    return added
