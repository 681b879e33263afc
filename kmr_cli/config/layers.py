"""From what the user typed (a path, a suffix, a glob) to the layers that are tapped."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from kmr_cli.errors import LayerError
from kmr_cli.records import LayerInfo

_SHOWN = 5
_NEAR = 0.6
"""How alike a name must be to be offered: below that, what is meant is another one mostly."""


@dataclass(frozen=True)
class Choice:
    """The layers that a list of patterns stands for.

    Attributes:
        paths: exact paths, in the model's order, each once.
        unmatched: patterns that match no listed layer, in the order they were given.
        skipped: layers that a glob matches but that cannot be tapped.
    """

    paths: tuple[str, ...]
    unmatched: tuple[str, ...]
    skipped: tuple[LayerInfo, ...]


def choose(patterns: Iterable[str], layers: Sequence[LayerInfo], separator: str, root: str = "") -> Choice:
    """Match patterns against a model's layers.

    A pattern is an exact path, else the unique end of one (whole names: ``conv1`` for ``tower/conv1``), else a
    glob (``*`` also crosses separators, so ``'*'`` is every layer). It may begin with ``root``, the scope of the model
    itself that no path repeats, and end with the number of a tensor, as graphs write them. Else it is the name of a
    tensor, an operation or a scope in the file's graph, ``model_1/conv1_1/Relu:0``: the innermost layer around it.

    Raises:
        LayerError: an ambiguous suffix, or a layer that cannot be tapped asked for by name.
    """
    by_path = {layer.path: layer for layer in layers}
    chosen: set[str] = set()
    unmatched: list[str] = []
    skipped: dict[str, LayerInfo] = {}
    for pattern in patterns:
        found = match(pattern, by_path, separator)
        if not found:
            found = match(_as_path(pattern, separator, root), by_path, separator) or _by_scope(pattern, layers)
        if not found:
            unmatched.append(pattern)
        elif len(found) == 1 and not _is_glob(pattern, by_path):
            layer = by_path[found[0]]
            if layer.untappable:
                raise LayerError(f"layer {layer.path!r} cannot be tapped: {layer.untappable}")
            chosen.add(layer.path)
        else:
            chosen.update(path for path in found if not by_path[path].untappable)
            skipped.update((path, by_path[path]) for path in found if by_path[path].untappable)
    paths = tuple(path for path in by_path if path in chosen)
    return Choice(paths, tuple(unmatched), tuple(skipped.values()))


def choose_known(patterns: Iterable[str], layers: Sequence[LayerInfo], separator: str, root: str = "") -> Choice:
    """:func:`choose`, where these are all layers that there are.

    Raises:
        LayerError: also a pattern that matches none of them.
    """
    choice = choose(patterns, layers, separator, root)
    if choice.unmatched:
        raise unknown_layer(choice.unmatched[0], layers)
    return choice


def completed(
    paths: tuple[str, ...], unmatched: tuple[str, ...], layers: Sequence[LayerInfo], separator: str
) -> tuple[str, ...]:
    """The layers that a file told, and those of the loaded model that match what the file alone could not tell.

    Raises:
        LayerError: a pattern matches nothing there either.
    """
    if not unmatched:
        return paths
    return tuple(dict.fromkeys((*paths, *choose_known(unmatched, layers, separator).paths)))


def _as_path(pattern: str, separator: str, root: str) -> str:
    """A name of the graph as a path: without the model's own scope, and the number of a tensor."""
    name, colon, number = pattern.rpartition(":")
    if colon and number.isdigit():
        pattern = name
    return pattern.removeprefix(root + separator) if root else pattern


def _by_scope(pattern: str, layers: Sequence[LayerInfo]) -> list[str]:
    """The innermost layer in whose scope a name of the graph stands."""
    name, colon, number = pattern.removeprefix("^").rpartition(":")
    inside = (name if colon and number.isdigit() else pattern.removeprefix("^")) + "/"
    around = [(len(scope), layer.path) for layer in layers for scope in layer.scopes if inside.startswith(scope + "/")]
    longest = max((length for length, _ in around), default=0)
    found = dict.fromkeys(path for length, path in around if length == longest)
    return list(found) if len(found) == 1 else []


def unknown_layer(pattern: str, layers: Sequence[LayerInfo]) -> LayerError:
    """The error for a pattern that matches nothing: the nearest names, or how to list them."""
    paths = [layer.path for layer in layers if not layer.untappable]
    last = {re.split("[./:]", path)[-1].lower(): path for path in reversed(paths)}
    near = difflib.get_close_matches(pattern, paths, n=3, cutoff=_NEAR)
    near += [last[name] for name in difflib.get_close_matches(pattern.lower(), last, n=3, cutoff=_NEAR)]
    near = list(dict.fromkeys(near))[:3]
    if near:
        hint = "did you mean " + " or ".join(repr(path) for path in near) + "?"
    elif paths and len(paths) <= _SHOWN:
        hint = "it has " + ", ".join(repr(path) for path in paths)
    else:
        first = "".join(f"{path!r}, " for path in paths[:_SHOWN])
        hint = (
            f"it has {first}…: `kmr-inspect layers MODEL` lists them all"
            if paths
            else "the model has no layer that can be tapped"
        )
    return LayerError(f"no layer matches {pattern!r}", hint)


def match(pattern: str, paths: Collection[str], separator: str) -> list[str]:
    """The paths that one pattern stands for: an exact path, else the unique end of one, else a glob.

    Raises:
        LayerError: it is the end of several, and no glob.
    """
    if pattern in paths:
        return [pattern]
    ends = [path for path in paths if path.endswith(separator + pattern)]
    if len(ends) == 1:
        return ends
    if _is_glob(pattern, paths):
        return [path for path in paths if fnmatchcase(path, pattern)]
    if ends:
        shown = ", ".join(repr(path) for path in ends[:_SHOWN]) + (", …" if len(ends) > _SHOWN else "")
        raise LayerError(f"{pattern!r} matches the end of {len(ends)} layers: {shown}", "give more of the path")
    return []


def fits(path: str, pattern: str) -> bool:
    """Whether a pattern is this path, or a glob for it."""
    return path == pattern or fnmatchcase(path, pattern)  # a path may itself hold brackets


def _is_glob(pattern: str, paths: Collection[str]) -> bool:
    return pattern not in paths and any(character in pattern for character in "*?[")
