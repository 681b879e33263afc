"""From taps that went wrong to the layer that did it: the innermost with right inputs and wrong outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kmr_cli.evidence.taps import Tap


@dataclass(frozen=True)
class Source:
    """Where something went wrong.

    Attributes:
        layer, call, port: the first wrong output of that layer; the layer ``""`` stands for the model's own code.
        before: the layer in front of which it happened, in its container's own code; None if the layer did it itself.
    """

    layer: str
    call: int
    port: str
    before: str | None = None


def find_sources(order: Iterable[Tap], wrong: Callable[[Tap], bool], separator: str) -> list[Source]:
    """The layers that turn right inputs into wrong outputs, innermost only, in the order in which they ran.

    A wrong value that no layer made arose in code between layers: then the container of the first layer that
    received it is named, or the model itself.

    Args:
        order: all taps in the order in which they ran.
        wrong: the predicate; never true for a tap that is all right.
        separator: of the parts of a layer's path.
    """
    taps = list(order)
    return _innermost(_wrong_layers(taps, wrong), separator) or _between_layers(taps, wrong, separator)


def _wrong_layers(taps: Sequence[Tap], wrong: Callable[[Tap], bool]) -> list[Source]:
    """Every call of a layer that nothing wrong enters and something wrong leaves.

    A layer that shows no inputs isn't a suspect once anything went wrong before it.
    """
    fed = {(layer, call) for layer, call, port in taps if port.startswith("in")}
    spoilt = {(layer, call) for layer, call, port in taps if port.startswith("in") and wrong((layer, call, port))}
    found: dict[tuple[str, int], Source] = {}
    anything = False
    for layer, call, port in taps:
        here = (layer, call)
        if anything and here not in fed and here not in found:
            continue
        is_wrong = wrong((layer, call, port))
        anything = anything or is_wrong
        if is_wrong and layer and port.startswith("out") and here not in spoilt:
            found.setdefault(here, Source(layer, call, port))
    return list(found.values())


def _innermost(sources: Sequence[Source], separator: str) -> list[Source]:
    """Those inside of which no other one lies."""
    return [one for one in sources if not any(other.layer.startswith(one.layer + separator) for other in sources)]


def _between_layers(taps: Sequence[Tap], wrong: Callable[[Tap], bool], separator: str) -> list[Source]:
    """The container in whose own code the first wrong value arose, or the model itself; empty where none is wrong."""
    first = next((tap for tap in taps if wrong(tap)), None)
    if first is None:
        return []
    layer, call, port = first
    if not layer:
        return [Source("", 0, port)]
    if port.startswith("in"):
        return [Source(layer.rpartition(separator)[0], 0, port, before=layer)]
    return [Source(layer, call, port)]
