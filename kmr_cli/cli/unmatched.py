"""Patterns that fit nothing in any of the models: a slip in them would otherwise go unnoticed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator


def unmatched(
    named: Iterable[tuple[str, str]], layers: Iterable[str], fitting_nothing: Collection[str], what: str = "layer"
) -> Iterator[str]:
    """A line for each pattern that fits nothing, with what may have been meant.

    Args:
        named: (where it was said, pattern), as in ``("--allow scores", "scores")``.
        layers: paths of the layers that there are.
        fitting_nothing: the patterns that fit none of them, in any model.
        what: it should have named.
    """
    from kmr_cli.config.layers import unknown_layer
    from kmr_cli.records import LayerInfo

    known = [LayerInfo(path, "") for path in dict.fromkeys(layers) if path]
    for where, pattern in dict.fromkeys(named):
        if pattern in fitting_nothing:
            hint = unknown_layer(pattern, known).hint if known else None
            yield f"{where}: no {what} has this path" + (f"; {hint}" if hint else "")
