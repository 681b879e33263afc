"""What is known of a layer, in one word, a sign and a colour: the sign says it without the colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from kmr_cli.records import Comparison, Finding, Report, TapVerdict
from kmr_cli.render.documents.findings import failing
from kmr_cli.render.documents.html.elements import Markup, element

Call: TypeAlias = "tuple[str, int]"
"""A layer and its call."""


@dataclass(frozen=True)
class State:
    """One of them.

    Attributes:
        name: short, for people.
        sign: one character.
        tone: ``good``, ``bad``, ``warn``, ``other`` or ``none``, of the style sheet.
    """

    name: str
    sign: str
    tone: str

    def shown(self) -> Markup:
        """Sign and name."""
        return element("span", element("i", self.sign, aria_hidden="true"), self.name, class_=f"state is-{self.tone}")


ERROR = State("error begins here", "✕", "bad")
WARNING = State("warning", "!", "warn")
MIXED = State("mixed", "≠", "bad")
ROUTED = State("routed", "⇉", "warn")
UNKNOWN = State("inconclusive", "?", "warn")
MOVED = State("kept apart", "⇄", "other")
SEPARATED = State("separated", "✓", "good")
ROUNDED = State("apart, but last bits", "≈", "other")
CONSTANT = State("no samples", "∅", "none")
HOLDS = State("holds others", "·", "none")
UNSEEN = State("not looked at", "—", "none")
DIFFERS = State("differs", "≠", "bad")
DIFFERS_TOO = State("differs too", "≠", "bad")
NOTED = State("differs, noted", "≈", "other")
AGREES = State("agrees", "✓", "good")
UNMATCHED = State("not compared", "—", "none")


class States:
    """What is known of layers and of each of their calls.

    Args:
        by_call: of calls.
        otherwise: of layers of which no call is known.
    """

    def __init__(self, by_call: Mapping[Call, State], otherwise: Mapping[str, State]) -> None:
        self._calls: dict[str, dict[int, State]] = {}
        for (layer, call), state in sorted(by_call.items(), key=lambda one: one[0]):
            self._calls.setdefault(layer, {})[call] = state
        self._otherwise = otherwise

    def get(self, layer: str, otherwise: State) -> State:
        """Of a layer: that of its worst call."""
        return worst(self.calls(layer).values(), self._otherwise.get(layer, otherwise))

    def at(self, layer: str, call: int, otherwise: State) -> State:
        """Of one call; of the layer where that call is not known."""
        return self.calls(layer).get(call) or self.get(layer, otherwise)

    def calls(self, layer: str) -> Mapping[int, State]:
        """Of every call of a layer that is known."""
        return self._calls.get(layer, {})


GRAVE = frozenset({ERROR, DIFFERS, WARNING, UNKNOWN})
"""What a reader looks for."""
ORDER = (
    ERROR, DIFFERS, WARNING, MIXED, DIFFERS_TOO, ROUTED, UNKNOWN, MOVED, ROUNDED, NOTED, SEPARATED, AGREES, CONSTANT,
    UNSEEN, UNMATCHED, HOLDS,
)  # fmt: skip
"""The worst first."""
_OF_KIND = {
    "separated": SEPARATED, "merged": MOVED, "moved": MOVED, "reordered": MOVED, "interleaved": MIXED, "mixed": MIXED,
    "routed": ROUTED, "constant": CONSTANT, "inconclusive": UNKNOWN,
}  # fmt: skip


def of_tap(tap: TapVerdict) -> State:
    """Of one value."""
    return ROUNDED if tap.index.kind == "mixed" and tap.index.max_ulp else _OF_KIND[tap.index.kind]


def worst(states: Iterable[State], otherwise: State) -> State:
    """The worst of several."""
    return min(states, key=ORDER.index, default=otherwise)


def of_check(report: Report) -> States:
    """Of every layer that was tapped or that something was found at: what leaves it decides."""
    by_call: dict[Call, list[State]] = {}
    for tap in report.taps:
        if tap.port.startswith("out"):
            by_call.setdefault((tap.layer, tap.call), []).append(of_tap(tap))
    states = {call: worst(states, UNSEEN) for call, states in by_call.items()}
    return States(states | _found(report.findings, ERROR), {})


def of_comparison(result: Comparison) -> States:
    """Of every layer that was compared or that something was found at."""
    compared = set(result.layers)
    calls = [(one.layer, one.call) for one in result.matched if one.layer in compared]
    noted = {_call(one): NOTED for one in result.findings if one.layer in compared}  # what is graver replaces it
    behind = dict.fromkeys(result.differing_calls, DIFFERS_TOO if result.verdict == "fail" else NOTED)
    by_call = dict.fromkeys(calls, AGREES) | noted | behind | _found(result.findings, DIFFERS)
    return States(by_call, dict.fromkeys(result.layers, AGREES))


def _found(findings: Sequence[Finding], error: State) -> dict[Call, State]:
    """Where errors and warnings are; what is allowed and what is only noted leaves the rest as it is."""
    warned = {_call(one): WARNING for one in findings if one.severity == "warning" and not one.allowed}
    return warned | {_call(one): error for one in findings if failing(one)}


def _call(finding: Finding) -> Call:
    return finding.layer, finding.call
