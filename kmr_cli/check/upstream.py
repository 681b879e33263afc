"""Of several layers at which something begins, those that an output was made from."""

from __future__ import annotations

from collections.abc import Sequence

from kmr_cli.check.run import Run
from kmr_cli.check.wiring import containers_of, sources
from kmr_cli.evidence.sources import Source
from kmr_cli.evidence.taps import Tap


def upstream_of(run: Run, output: Tap, begins: Sequence[Source]) -> list[Source]:
    """The sources from which an output was made, where passes or the graph show that; else all of them.

    What shows at one output of several did not begin at a layer that only another output was made from.

    Args:
        run: the check.
        output: of the model.
        begins: where something begins that shows at the outputs.
    """
    if len(begins) < 2 or len(run.outputs) < 2:
        return list(begins)
    met = _gone_back(run, output)
    if met is None:
        return list(begins)
    return [source for source in begins if _is_met(source, met, run.info.separator)] or list(begins)


def _gone_back(run: Run, output: Tap) -> set[Tap] | None:
    """Every tap on the way from the inputs to an output; None where it is not known where a value comes from."""
    if run.wired is None:
        run.wired = sources(run)
    containers = containers_of(run.evidence.order, run.info.separator)
    entering: dict[tuple[str, int], list[Tap]] = {}
    for tap in run.evidence.order:
        if tap[0] and tap[2].startswith("in"):
            entering.setdefault(tap[:2], []).append(tap)
    todo, met = [output], set[Tap]()
    while todo:
        tap = todo.pop()
        if tap in met:
            continue
        met.add(tap)
        layer, call, port = tap
        if layer and port.startswith("out") and layer not in containers:
            todo += entering.get((layer, call), [])
        elif layer or port.startswith("out"):
            if tap not in run.wired:
                return None
            todo += run.wired[tap]
    return met


def _is_met(source: Source, met: set[Tap], separator: str) -> bool:
    inside = source.layer + separator
    if source.before is not None:  # in the code of a container
        return any(layer == source.before for layer, _, _ in met)
    if not source.layer:
        return True
    return any(
        (layer == source.layer and call == source.call) or layer.startswith(inside) for layer, call, _ in met
    )  # fmt: skip
