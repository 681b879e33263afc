"""What enters a layer is what another one returned: which inputs can be compared, and which are wrong just for that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

from kmr_cli.compare.alignment import Call
from kmr_cli.compare.flow import Flow, Origin, correspond
from kmr_cli.compare.pair import Pair
from kmr_cli.evidence.taps import Tap
from kmr_cli.records import TapSketch

Kind: TypeAlias = Literal["input", "code", "matched", "alone"]
"""Where an input comes from: the model's inputs, code, a layer that has a counterpart, or one that has none."""

_NEAR = 0.1
"""Relative to the largest value: a wrapper that rounds or clips what enters a layer changes it by less."""


_AGREES = ("same", "close")


def _leaves(pair: Pair) -> bool:
    return pair.model.port.startswith("out")


class Entering:
    """The inputs of layers in two runs.

    Args:
        now, before: of the model and of the baseline.
        partners: call of the model -> the call of the baseline that corresponds.
        taps: of the model, by name, in the order in which they ran.
    """

    def __init__(self, now: Flow, before: Flow, partners: Mapping[Call, Call], taps: Mapping[Tap, TapSketch]) -> None:
        self._now, self._before = now, before
        self._partners, self._taps = partners, taps
        self._backwards = {call: mine for mine, call in partners.items()}

    def settled(self, pairs: Sequence[Pair]) -> Iterator[Pair]:
        """The pairs without inputs that are not the same tensor in both models.

        Two layers may correspond although one of them does the work of several (a fused normalization), or although
        something stands before it that has no counterpart (a wrapper that rounds what enters). What such a wrapper of
        the model returns is held against what enters the layer of the baseline; but where what the layer returns
        agrees, both do together what the one does there, and what is between them is their own business.
        """
        moved: dict[Tap, Pair] = {}
        kept = []
        off = {pair.model.tap[:2] for pair in pairs if _leaves(pair) and pair.content.kind not in _AGREES}
        agree = {pair.model.tap[:2] for pair in pairs if _leaves(pair)} - off
        for pair in pairs:
            place = self._place(pair, agrees=pair.model.tap[:2] in agree)
            if place == pair.model.tap:
                kept.append(pair)
            elif place is not None and place not in moved:
                moved[place] = replace(pair, model=self._taps[place])
        order = {tap: number for number, tap in enumerate(self._taps)}
        known = {pair.model.tap for pair in kept}
        kept += [pair for tap, pair in moved.items() if tap not in known]
        yield from sorted(kept, key=lambda pair: order[pair.model.tap])

    def _place(self, pair: Pair, *, agrees: bool) -> Tap | None:
        """The tap of the model whose content is to be judged by this pair; None if it says nothing.

        ``agrees``: what leaves the layer is what leaves its counterpart.
        """
        tap, content = pair.model.tap, pair.content
        if not tap[2].startswith("in") or not tap[0] or content.kind in (*_AGREES, "unknown"):
            return tap
        mine, yours = self._now.origins[tap], self._before.origins.get(pair.baseline.tap)
        if yours is None or correspond(mine, yours, self._partners):
            return tap
        kinds = self._kind(mine, self._now, self._partners), self._kind(yours, self._before, self._backwards)
        if kinds[0] == "alone" and agrees:
            return None
        if kinds[0] == "alone":
            same_place = kinds[1] in ("alone", "code") or content.size <= _NEAR * content.scale
            return mine.taps[0] if same_place and content.kind != "shape" else None
        if kinds[1] == "alone":
            return tap if kinds[0] == "code" and content.kind != "shape" else None
        return tap

    @staticmethod
    def _kind(origin: Origin, flow: Flow, matched: Mapping[Call, Call]) -> Kind:
        if origin.call is None:
            return "input" if origin.source == "input" else "code"
        if flow.starts(origin.call):
            return "input"
        return "matched" if any(tap[:2] in matched for tap in origin.taps) else "alone"

    def spoilt(self, wrong: Callable[[Tap], bool], *, casts: bool = False) -> set[Tap]:
        """The inputs of the model's layers that are wrong: because of what returned them, or of code between layers.

        Args:
            wrong: whether a tensor itself differs from the baseline's.
            casts: layers may have changed themselves what they were given, so that only what another one did counts.
        """
        found: set[Tap] = set()
        anything = False
        for tap in self._taps:
            if not tap[2].startswith("in"):
                anything = anything or bool(tap[0] and wrong(tap))
            elif tap[0] and self._is_spoilt(tap, wrong, found, anything=anything, casts=casts):
                found.add(tap)
        return found

    def _is_spoilt(
        self, tap: Tap, wrong: Callable[[Tap], bool], found: set[Tap], *, anything: bool, casts: bool
    ) -> bool:
        origin = self._now.origins[tap]
        if origin.call is None:
            known = tap[:2] in self._partners
            if origin.source == "input":
                return not casts and wrong(tap)
            return anything if casts or not known else wrong(tap)
        returned = next((one for one in origin.taps if one[:2] in self._partners or wrong(one)), None)
        if returned is not None:
            return wrong(returned)
        return any(one in found for one in self._now.entering.get(origin.call, ()))

    # -- words -------------------------------------------------------------------------------------------------------

    def fused(self, call: Call) -> list[Call]:
        """The calls of the baseline, without counterpart, that stand before the one that corresponds to this."""
        return list(self._alone_before(self._partners.get(call), self._before, self._backwards))

    def added_before(self, call: Call) -> list[Call]:
        """The calls of the model, without counterpart, that stand between this one and what enters the baseline's."""
        return list(self._alone_before(call, self._now, self._partners))

    @staticmethod
    def _alone_before(call: Call | None, flow: Flow, matched: Mapping[Call, Call]) -> Iterator[Call]:
        seen = set() if call is None else {call}
        todo = [] if call is None else list(flow.upstream(call))
        while todo:
            one = todo.pop(0)
            if one in seen or one in matched or flow.starts(one):
                continue
            seen.add(one)
            yield one
            todo += flow.upstream(one)

    def rewired(self, call: Call) -> tuple[str, str, str] | None:
        """(port, layer, layer before): an input that another layer returned in the baseline; None if there is none."""
        other = self._partners.get(call)
        if other is None:
            return None
        for tap in self._now.entering.get(call, ()):
            mine, yours = self._now.origins[tap], self._before.origins.get((*other, tap[2]))
            if yours is None or mine.call is None or yours.call is None or correspond(mine, yours, self._partners):
                continue
            if mine.call in self._partners and yours.call in self._backwards and mine.call[0] != yours.call[0]:
                return tap[2], mine.call[0], yours.call[0]
        return None
