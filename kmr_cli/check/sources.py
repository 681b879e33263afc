"""The layers at which something that shows at an output begins, and findings there."""

from __future__ import annotations

from collections.abc import Callable

from kmr_cli.check.run import Run
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
) -> None:
    """One finding for every layer at which what is wrong with an output begins; none twice.

    Args:
        run: the check.
        rule: what is wrong.
        output: where it shows.
        wrong: of which taps that is true.
        samples: pairs (moved, changed).
        allowed: that is accepted at this output.
    """
    for source in _begins(run, wrong) or [Source(*output)]:
        text = f"{rule.found_when}{between(source)}; seen at {run.title(output)}{_by_nature(run, source)}"
        run.add(rule, source, text, output=output, once=True, samples=samples, allowed=allowed)


def _by_nature(run: Run, source: Source) -> str:
    """What the file knows of a layer that mixes by what it is."""
    known = next((layer.mixes for layer in run.info.layers if layer.path == source.layer and not source.before), None)
    return f"; {known}" if known else ""


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
