"""What every format promises, as checks for the tests of a format, those of other distributions included.

A format's tests give examples of its files and run every rule on each:

    from kmr_cli.formats import conformance

    EXAMPLES = [conformance.Example("dense", toy_format, Path("dense.toy"), batch, bare)]

    @pytest.fixture(scope="module")
    def opened(request):
        with conformance.opened(request.param) as found:
            yield found

    @pytest.mark.parametrize(("opened", "rule"), conformance.cases(EXAMPLES), indirect=["opened"], ids=str)
    def test_conformance(opened, rule):
        rule(opened)

Without pytest, ``check_conformance(example)`` runs them all. A rule that does not hold raises
:class:`ConformanceError`, which says what was found.

May import: the interface of formats, their facts and live objects, the proof, errors, records. Imports no pytest.
"""

from __future__ import annotations

from collections.abc import Iterable

from kmr_cli.formats.conformance.compare import ConformanceError
from kmr_cli.formats.conformance.example import Example, Opened, opened
from kmr_cli.formats.conformance.graph import GRAPH
from kmr_cli.formats.conformance.passes import PASSES
from kmr_cli.formats.conformance.rule import Rule
from kmr_cli.formats.conformance.told import TOLD
from kmr_cli.formats.conformance.trace import TRACE

__all__ = ["RULES", "ConformanceError", "Example", "Opened", "Rule", "cases", "check_conformance", "opened"]

RULES: tuple[Rule, ...] = (*TOLD, *PASSES, *TRACE, *GRAPH)
"""Every rule, in the order in which a new format best makes them hold."""


def cases(examples: Iterable[Example]) -> list[tuple[Example, Rule]]:
    """Every example with every rule that applies to it: what to parametrize a test with."""
    return [(example, rule) for example in examples for rule in RULES if rule.applies(example)]


def check_conformance(example: Example) -> None:
    """Run every rule on an example.

    Raises:
        ConformanceError: the first that does not hold.
    """
    with opened(example) as found:
        for _, rule in cases([example]):
            rule(found)
