"""Where a change begins: of all the taps that it reaches, the first ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kmr_cli.compare.case import Case, Pair
from kmr_cli.compare.words import counted
from kmr_cli.evidence.sources import find_sources
from kmr_cli.evidence.taps import Tap
from kmr_cli.rules import Severity


def begins(case: Case, codes: Mapping[Tap, str]) -> list[tuple[Tap, str, Severity | None]]:
    """Where something begins, among what the policy counts: (tap, where else, severity if not the rule's).

    A rule that does not count hides nothing of the others. What an allowed layer does to later ones is allowed too,
    and with outputs alone it cannot be told from a change of their own: then that is reported as a warning, and the
    comparison stays inconclusive.
    """
    wrong = {tap for tap, code in codes.items() if case.policy.counts(code)}
    sources = _first(case, wrong)
    allowed = [tap for tap in sources if case.policy.allows(tap[0])]
    doubtful: list[Tap] = []
    if allowed and len(allowed) == len(sources):
        order = [pair.model.tap for pair in case.pairs]
        both = any(port.startswith("in") for layer, _, port in order if layer)
        explained = _given_out(case, bool if both else case.policy.allows)
        doubtful = [
            tap for tap in order
            if tap in wrong and not case.policy.allows(tap[0]) and tap not in explained and not (both and tap[0])
        ][:1]  # fmt: skip
        if doubtful and not case.lenient:
            case.consequences.append(_doubt(allowed[0][0], both=both))
    found: list[tuple[Tap, str, Severity | None]] = [(tap, _later(case, tap, wrong, sources), None) for tap in sources]
    after = f"; perhaps only because layer {allowed[0][0]!r}, which may differ, does" if allowed else ""
    return found + [(tap, after, None if case.lenient else "warning") for tap in doubtful]


def _given_out(case: Case, layers: Callable[[str], bool]) -> set[Tap]:
    """The model's outputs that are, bit for bit and in both models, what one of these layers returned."""

    def key(pair: Pair) -> tuple[object, ...]:
        ends = (pair.model, pair.baseline)
        return tuple((end.shape, end.dtype, tuple(sample.bits for sample in end.samples)) for end in ends)

    pairs = [pair for pair in case.pairs if pair.model.port.startswith("out")]
    returned = {key(pair) for pair in pairs if pair.model.layer and layers(pair.model.layer)}
    return {pair.model.tap for pair in pairs if not pair.model.layer and key(pair) in returned}


def _doubt(layer: str, *, both: bool) -> str:
    if both:
        return (
            f"an output that no layer returns as it is differs, and so does layer {layer!r}, which may: whether that is"
            " all its doing cannot be told"
        )
    return (
        f"layers or outputs after {layer!r}, which may differ, differ too: whether that is all its doing cannot be told"
        " from outputs alone (take the snapshot with --side both)"
    )


def _first(case: Case, wrong: set[Tap]) -> list[Tap]:
    """The taps at which something begins.

    With both ends of the layers at hand, every layer whose inputs are right and whose outputs are not; with outputs
    alone only the first one is certain.
    """
    order = [pair.model.tap for pair in case.pairs]
    if not wrong:
        return []
    if any(port.startswith("in") for layer, _, port in order if layer):
        sources = find_sources(order, wrong.__contains__, case.model.separator)
        found = [(source.layer, source.call, source.port) for source in sources]
        found = [tap if tap in wrong else next(t for t in order if t in wrong) for tap in found]
        return list(dict.fromkeys(found))
    return [next(tap for tap in order if tap in wrong)]


def _later(case: Case, tap: Tap, wrong: set[Tap], sources: Sequence[Tap]) -> str:
    """Where else it is wrong, but for where something begins anew."""
    if not tap[0]:
        return ""
    order = [pair.model.tap for pair in case.pairs]
    told = {"", *(source[0] for source in sources)}
    after = [other[0] for other in order[order.index(tap) + 1 :] if other in wrong and other[0] not in told]
    count = len(dict.fromkeys(after))
    outputs = any(not other[0] and other in wrong for other in order)
    if not count:
        alone = "; at no other layer, and not in the outputs" if len(sources) == 1 else "; not in the outputs"
        return "; also in the outputs" if outputs else alone
    where = " and in the outputs" if outputs else ", but not in the outputs"
    return f"; also at {counted(count, 'layer')} after it{where}"
