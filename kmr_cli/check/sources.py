"""The layers at which something that shows at an output begins, and findings there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kmr_cli.arrays.ulp import largest
from kmr_cli.check.remedies import REMEDIES, kind_at
from kmr_cli.check.run import Run
from kmr_cli.check.upstream import upstream_of
from kmr_cli.evidence.put_back import last_permutation
from kmr_cli.evidence.sources import Source
from kmr_cli.evidence.taps import Tap
from kmr_cli.rules import Rule


def add_at_sources(
    run: Run,
    rule: Rule,
    output: Tap,
    wrong: Callable[[Tap], bool],
    samples: tuple[tuple[int, int], ...] = (),
    *,
    allowed: bool = False,
    remedy: Callable[[str], str] = lambda _layer: "",
) -> None:
    """One finding for every layer at which what is wrong with an output begins; none twice.

    Args:
        run: the check.
        rule: what is wrong.
        output: where it shows.
        wrong: of which taps that is true.
        samples: pairs (moved, changed).
        allowed: that is accepted at this output.
        remedy: what to change at a layer, where the rule's own does not say it best.
    """
    for source in upstream_of(run, output, _begins(run, wrong)) or [Source(*output)]:
        text = f"{rule.found_when}{between(source)}; seen at {run.title(output)}{_by_nature(run, source)}"
        run.add(
            rule, source, text, output=output, once=True, samples=samples, allowed=allowed, remedy=remedy(source.layer)
        )  # fmt: skip


def _by_nature(run: Run, source: Source) -> str:
    """What the file knows of a layer that mixes by what it is."""
    known = next((layer.mixes for layer in run.info.layers if layer.path == source.layer and not source.before), None)
    return f"; {known}" if known else ""


def add_mix(
    run: Run,
    leak: Rule,
    interleaved: Rule,
    output: Tap,
    samples: tuple[tuple[int, int], ...] = (),
    *,
    allowed: bool = False,
) -> None:
    """The same for an output at which samples meet, with what to change there.

    Rows that only come back in an order that the samples' content decides are the fault of whoever put them in it
    last. Where the first that goes wrong are rows with pieces of several samples, which only a later layer mixes, that
    is what is reported.

    Args:
        run: the check.
        leak: samples change each other.
        interleaved: rows hold pieces of several samples.
        output: where it shows.
        samples: pairs (moved, changed).
        allowed: that is accepted at this output.
    """
    seen = f"; seen at {run.title(output)}"
    if run.evidence.rearranged.get(output):
        order = run.evidence.order
        before = order[: order.index(output) + 1]
        source = last_permutation(before, run.evidence.base, run.evidence.size, run.info.separator)
        if source is None:  # rows that nobody saw in another order: the order itself does no harm
            begins = _begins(run, lambda tap: run.clearly_entangled(tap) and not _is_order(run, tap))
            source = begins[0] if begins else None
        if source is not None:
            text = f"rows come in an order that depends on what other samples hold{between(source)}{seen}"
            run.add(
                leak, source, text, output=output, once=True, samples=samples, allowed=allowed, remedy=REMEDIES["order"]
            )  # fmt: skip
            return
    for source in upstream_of(run, output, _begins(run, run.clearly_entangled)) or [Source(*output)]:
        tap = _first_wrong(run, source)
        if not source.layer and source.before is None and _is_another(run, leak, output):
            source, tap = Source(*output), output
        if run.indices[tap].kind == "interleaved" and len(run.evidence.specs[tap].shape) > 1:
            text = f"rows hold pieces of several samples, which a later layer mixes{between(source)}{seen}"
            run.add(interleaved, source, text, output=output, once=True, allowed=allowed, remedy=REMEDIES["reshape"])
            continue
        kind = kind_at(run, source, tap)
        named = _named(run, source, output) if kind == "dynamic quantization" else ""
        text = f"{leak.found_when}{named}{between(source)}{seen}{'' if named else _by_nature(run, source)}"
        remedy = REMEDIES[kind] if kind else ""
        run.add(leak, source, text, output=output, once=True, samples=samples, allowed=allowed, remedy=remedy)


def _is_another(run: Run, rule: Rule, output: Tap) -> bool:
    """Whether the graph names an operator of the model's own code that no finding at another output is about."""
    if run.structure is None:
        return False
    operators = {tap: claim.operator for tap, claim in run.structure.meets(run.outputs, run.evidence.names)}
    told = [one.output for one in run.claims if one.finding.rule == rule.code and not one.finding.layer]
    return output in operators and all(operators.get(one) not in (None, operators[output]) for one in told if one)


def _is_order(run: Run, tap: Tap) -> bool:
    """Whether a value is the numbers of the samples in some order, as a sort gives it."""
    value = run.evidence.base.get(tap)
    whole = value is not None and value.dtype.kind in "iu" and value.size == run.evidence.size
    return value is not None and whole and np.array_equal(np.sort(value, axis=None), np.arange(value.size))


def _first_wrong(run: Run, source: Source) -> Tap:
    """The value with which it begins."""
    layer = source.layer if source.before is None else source.before
    for tap in run.evidence.order:
        if tap[0] == layer and tap[2] == source.port and run.clearly_entangled(tap):
            return tap
    return next(tap for tap in run.evidence.order if run.clearly_entangled(tap))


def _named(run: Run, source: Source, output: Tap) -> str:
    """The operator that takes one scale for the whole batch, and how far that moves the answers."""
    operator = next((info.type for info in run.session.layers if info.path == source.layer), "the layer")
    far, largest_ = run.evidence.leak.get(output, 0.0), largest(run.evidence.base[output])
    moved = (
        f", which changes answers by up to {far:.2g} ({far / largest_:.1%} of the largest)" if far and largest_ else ""
    )
    return f": {operator} takes one scale for the whole batch{moved}"


def between(source: Source) -> str:
    """Where it lies, in parentheses, if that is in code between layers; else nothing."""
    if source.before:
        return f" (in the code before {source.before!r})"
    return "" if source.layer else " (in the model's own code, after its last layer)"


def _begins(run: Run, wrong: Callable[[Tap], bool]) -> list[Source]:
    """The sources of what is wrong; of a sum of samples in two orders, the layer that reordered one of them."""

    def reordered(tap: Tap) -> bool:
        return run.indices[tap].kind == "reordered"

    sources = run.sources(wrong)
    for source in sources:
        inside = source.layer + run.info.separator
        if any(
            reordered(tap) and ((tap[0] == source.layer and tap[2].startswith("in")) or tap[0].startswith(inside))
            for tap in run.evidence.order
        ):
            return run.sources(lambda tap: wrong(tap) or reordered(tap))
    return sources
