"""From taps that went wrong to the layer that did it: the innermost with right inputs and wrong outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kmr_cli.evidence.taps import Tap


@dataclass(frozen=True)
class Source:
    """Where something went wrong.

    Attributes:
        layer, call, port: the guilty layer's first wrong output; the layer ``""`` stands for the model's own code.
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
    entered = {(layer, call) for layer, call, port in taps if port.startswith("in") and wrong((layer, call, port))}
    fed = {(layer, call) for layer, call, port in taps if port.startswith("in")}
    sources: dict[tuple[str, int], Source] = {}
    seen = False  # whether anything went wrong before: then a layer that shows no inputs is no suspect
    for layer, call, port in taps:
        mine = (layer, call)
        if seen and mine not in fed and mine not in sources:
            continue
        seen = seen or wrong((layer, call, port))
        if (
            layer
            and port.startswith("out")
            and mine not in entered
            and mine not in sources
            and wrong((layer, call, port))
        ):
            sources[mine] = Source(layer, call, port)
    innermost = [
        source
        for source in sources.values()
        if not any(other.layer.startswith(source.layer + separator) for other in sources.values())
    ]
    if innermost:
        return innermost
    for layer, call, port in taps:
        if not wrong((layer, call, port)):
            continue
        if not layer:
            return [Source("", 0, port)]
        if port.startswith("in"):
            return [Source(layer.rpartition(separator)[0], 0, port, before=layer)]
        return [Source(layer, call, port)]
    return []
