"""How much may come of writing functions out where they are called: they can make a small file arbitrarily large."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def most_nodes(listed: int) -> int:
    """Nodes, and calls, that a file may unfold to which lists so many: linear in what it holds.

    Code that is unrolled calls one function hundreds of times, which takes a node each.
    """
    return 100_000 + 20 * listed


MOST_UNFOLDED = 1_000_000_000
"""Operations that a framework comes to which writes all functions out; of the largest models, a few million."""


def unfolded(calls: Mapping[str, Sequence[str]], own: Mapping[str, int], start: str) -> int:
    """Operations of a function, those of the functions that it calls counted at each call.

    Args:
        calls: function -> the functions that it calls, once for each call; others than its keys count nothing.
        own: function -> operations of its own.
        start: the function. Where functions call each other in a circle, the second round isn't counted.
    """
    counted: dict[str, int] = {}
    seen = {start}
    waiting = [(start, iter(calls[start]))]
    while waiting:
        name, called = waiting[-1]
        for one in called:
            if one in calls and one not in seen:
                seen.add(one)
                waiting.append((one, iter(calls[one])))
                break
        else:
            waiting.pop()
            counted[name] = own[name] + sum(counted.get(one, 0) for one in calls[name])
    return counted[start]
