"""What is known of a layer, in one word, a sign and a colour: the sign says it without the colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kmr_cli.records import Comparison, Finding, Report, TapVerdict
from kmr_cli.render.documents.findings import failing
from kmr_cli.render.documents.html.elements import Markup, element


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


def of_check(report: Report) -> dict[str, State]:
    """Of every layer that was tapped or that something was found at: what leaves it decides."""
    by_layer: dict[str, list[State]] = {}
    for tap in report.taps:
        if tap.port.startswith("out"):
            by_layer.setdefault(tap.layer, []).append(of_tap(tap))
    states = {layer: worst(states, UNSEEN) for layer, states in by_layer.items()}
    return states | _found(report.findings, ERROR)


def of_comparison(result: Comparison) -> dict[str, State]:
    """Of every layer that was compared or that something was found at."""
    noted = {one.layer: NOTED for one in result.findings if one.layer in result.layers}  # what is graver replaces it
    behind = dict.fromkeys(result.differing, DIFFERS_TOO if result.verdict == "fail" else NOTED)
    return dict.fromkeys(result.layers, AGREES) | noted | behind | _found(result.findings, DIFFERS)


def _found(findings: Sequence[Finding], error: State) -> dict[str, State]:
    """Where errors and warnings are; what is allowed and what is only noted leaves the rest as it is."""
    warned = {one.layer: WARNING for one in findings if one.severity == "warning" and not one.allowed}
    return warned | {one.layer: error for one in findings if failing(one)}
