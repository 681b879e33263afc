"""How much may come of writing functions out where they are called: they can make a small file arbitrarily large."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any


def most_nodes(listed: int) -> int:
    """Nodes, and calls, that a file may unfold to which lists so many: linear in what it holds.

    Code that is unrolled calls one function hundreds of times, which takes a node each.
    """
    return 100_000 + 20 * listed


MOST_UNFOLDED = 1_000_000_000
"""Operations that a framework comes to which writes all functions out; of the largest models, a few million."""


def unfolded(calls: Mapping[str, Sequence[str]], own: Mapping[str, int], start: str) -> int:
    """Operations of a function, those of the functions that it calls counted at each call; linear in what there is.

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


class Unfolding:
    """Whether a file unfolds to more than is taken of it, told before it is unfolded.

    Args:
        bodies: function -> its nodes.
        callee: the function that a node calls; anything else for other nodes.
    """

    def __init__(self, bodies: Mapping[str, Iterable[Any]], callee: Callable[[Any], str]) -> None:
        self._bodies = {name: list(body) for name, body in bodies.items()}
        self._callee = callee
        self._listed = sum(map(len, self._bodies.values()))
        self._start: Sequence[Any] | None = None
        self.most = most_nodes(self._listed)

    def begin(self, start: Sequence[Any]) -> None:
        """Nodes that are written out next, with all that they call."""
        self._start = start

    def is_too_much(self, done: int) -> bool:
        """Asked while so many nodes are written out. The rest is counted once, where they are more than are listed."""
        if done <= self._listed or self._start is None:
            return done > self.most
        bodies, self._start = {**self._bodies, "": self._start}, None
        calls = {name: [self._callee(node) for node in body] for name, body in bodies.items()}
        return unfolded(calls, {name: len(body) for name, body in bodies.items()}, "") > self.most
