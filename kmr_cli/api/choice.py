"""The layers that a call asks for, as far as the model's file tells them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kmr_cli.api.opened import Opened
from kmr_cli.config.arguments import refuse_call
from kmr_cli.config.layers import Choice, choose, choose_known
from kmr_cli.errors import LayerError


def chosen(opened: Opened, patterns: Sequence[str], call: int | None) -> Choice:
    """The layers that patterns match, and the patterns that only the loaded model can; what is left out is told.

    Args:
        opened: the model.
        patterns: of layers.
        call: the one that is wanted of each layer; None for all.

    Raises:
        LayerError: there are none, none of them can be tapped, or none has that call.
    """
    info = opened.info
    known: Callable[..., Choice] = choose if info.opaque else choose_known
    choice = known(patterns, info.layers, info.separator, info.root)
    for skipped in choice.skipped:
        opened.report("notice", f"layer {skipped.path!r} is left out: {skipped.untappable}")
    if not choice.paths and not choice.unmatched:
        raise LayerError(f"none of the layers that {', '.join(map(repr, patterns))} matches can be tapped")
    refuse_call(info.layers, choice.paths, call)
    return choice
