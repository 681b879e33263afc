"""Where a change begins: of all the taps that it reaches, the first ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kmr_cli.compare.case import Case, Pair
from kmr_cli.compare.words import counted
from kmr_cli.evidence.sources import find_sources
from kmr_cli.evidence.taps import Tap
from kmr_cli.rules import Rule, Severity


@dataclass(frozen=True)
class Begin:
    """Where something begins.

    Attributes:
        tap: the first tap that shows it.
        elsewhere: where else it shows, as the end of a message.
        severity: if not the rule's own.
    """

    tap: Tap
    elsewhere: str
    severity: Severity | None = None


def begins(case: Case, broken: Mapping[Tap, Rule], *, casts: bool = False) -> list[Begin]:
    """Where something begins, among what the policy counts.

    A rule that does not count hides nothing of the others. What an allowed layer does to later ones is allowed too,
    and with outputs alone it cannot be distinguished from a change of their own: then that is a warning, and the
    comparison stays inconclusive.

    Args:
        case: the comparison; it gets the doubt, where there is one.
        broken: tap of the model -> the rule that it breaks.
        casts: a layer may have changed what it was given before it was seen, so that what enters it isn't a sign of
            what comes before.
    """
    wrong = {tap for tap, rule in broken.items() if case.policy.counts(rule.code)}
    if case.entering is not None:
        returned = {tap for tap in wrong if tap[2].startswith("out")}
        wrong = returned | (case.entering.spoilt(wrong.__contains__, casts=casts) & {*case.order})
    sources = _sources(case, wrong)
    found = [Begin(tap, _elsewhere(case, tap, wrong, sources)) for tap in sources]
    if not sources or not all(case.policy.allows(layer) for layer, _, _ in sources):
        return found
    unexplained = _unexplained(case, wrong)
    if unexplained is None:
        return found
    layer = sources[0][0]
    if not case.lenient:
        case.doubts.append(_doubt(layer, both_ends=case.both_ends))
    after = f"; possibly only because layer {layer!r}, which is allowed to differ, does"
    return [*found, Begin(unexplained, after, None if case.lenient else "warning")]


def _unexplained(case: Case, wrong: set[Tap]) -> Tap | None:
    """The first wrong tap, at no allowed layer, that need not be what an allowed layer did to later ones.

    With both ends of the layers at hand that is an output of the model that no layer returned as it is.
    """
    explained = _given_out(case, bool if case.both_ends else case.policy.allows)
    for tap in case.order:
        layer = tap[0]
        if tap in wrong and tap not in explained and not case.policy.allows(layer) and not (case.both_ends and layer):
            return tap
    return None


def _given_out(case: Case, layers: Callable[[str], bool]) -> set[Tap]:
    """The model's outputs that are, bit for bit and in both models, what one of these layers returned."""

    def key(pair: Pair) -> tuple[object, ...]:
        ends = (pair.model, pair.baseline)
        return tuple((end.shape, end.dtype, tuple(sample.bits for sample in end.samples)) for end in ends)

    pairs = [pair for pair in case.pairs if pair.model.port.startswith("out")]
    returned = {key(pair) for pair in pairs if pair.model.layer and layers(pair.model.layer)}
    return {pair.model.tap for pair in pairs if not pair.model.layer and key(pair) in returned}


def _doubt(layer: str, *, both_ends: bool) -> str:
    if both_ends:
        return (
            f"layer {layer!r}, which is allowed to differ, does, and so does an output that no layer returns unchanged:"
            " it is not known whether that layer is the only cause"
        )
    return (
        f"layers or outputs after {layer!r}, which is allowed to differ, differ too: the outputs alone do not show"
        " whether that layer is the only cause (take the snapshot with --side both)"
    )


def _sources(case: Case, wrong: set[Tap]) -> list[Tap]:
    """The taps at which something begins.

    With both ends of the layers at hand, every layer whose inputs are right and whose outputs are not; with outputs
    alone only the first one is certain.
    """
    first = next((tap for tap in case.order if tap in wrong), None)
    if first is None:
        return []
    if not case.both_ends:
        return [first]
    sources = find_sources(case.order, wrong.__contains__, case.model.separator)
    found = [(source.layer, source.call, source.port) for source in sources]
    return list(dict.fromkeys(tap if tap in wrong else first for tap in found))


def _elsewhere(case: Case, tap: Tap, wrong: set[Tap], sources: Sequence[Tap]) -> str:
    """Where else it is wrong, but for where something begins anew."""
    if not tap[0]:
        return ""
    within = tap[0].split(case.model.separator)
    containers = {case.model.separator.join(within[:depth]) for depth in range(1, len(within))}
    named = {"", *(source[0] for source in sources), *containers}
    after = [other[0] for other in case.order[case.order.index(tap) + 1 :] if other in wrong and other[0] not in named]
    count = len(dict.fromkeys(after))
    outputs = any(not other[0] and other in wrong for other in case.order)
    if not count:
        alone = "; at no other layer, and not in the outputs" if len(sources) == 1 else "; not in the outputs"
        return "; also in the outputs" if outputs else alone
    where = " and in the outputs" if outputs else ", but not in the outputs"
    return f"; also at {counted(count, 'layer')} after it{where}"
