"""Facts about formats by their name, for those who have a report or a snapshot and no file."""

from __future__ import annotations

from kmr_cli.formats import all_formats, find_format, plugins
from kmr_cli.formats.interface import optional


def title(name: str) -> str:
    """For people: ``Keras archive``; the name itself where no format of this name is installed."""
    found = find_format(name)
    return name if found is None else found.TITLE


def programs(name: str) -> tuple[str, ...]:
    """Distributions whose versions may change what such a model computes."""
    found = find_format(name)
    return () if found is None else found.PROGRAMS


def same_family(first: str, second: str) -> bool:
    """Whether two formats give the same paths to the same layers."""
    return first == second or _family(first) == _family(second)


def _family(name: str) -> str:
    found = find_format(name)
    family: str | None = None if found is None else optional(found, "FAMILY")
    return family or name


def sorts_outputs(name: str) -> bool:
    """Whether outputs of such a model come sorted by name as text."""
    found = find_format(name)
    return found is not None and bool(optional(found, "SORTED_OUTPUTS"))


def numbers_nodes(name: str) -> bool:
    """Whether viewers of graphs find no node of such a file by its name."""
    found = find_format(name)
    return found is not None and bool(optional(found, "NUMBERED_NODES"))


def proven_with_data(name: str) -> bool:
    """Whether the graph of such a model is known only where it is run or exported with data of some shape."""
    found = find_format(name)
    return found is not None and bool(optional(found, "EXPORTED"))


def without_inputs(name: str) -> str | None:
    """What to do about such a file where it does not tell what the model takes."""
    found = find_format(name)
    hint: str | None = None if found is None else optional(found, "WITHOUT_INPUTS")
    return hint


def frameworks() -> frozenset[str]:
    """Modules after whose import a process must not be forked, of all formats that this process has met."""
    return frozenset(name for format_ in (*all_formats(), *plugins.met()) for name in format_.FRAMEWORKS)


def main_framework(name: str) -> str | None:
    """The module that every such model is run with; None where no format of this name is installed."""
    found = find_format(name)
    return found.FRAMEWORKS[0] if found is not None and found.FRAMEWORKS else None


def channels_first(name: str) -> bool:
    """Whether such models take images with the channels before height and width, unless they declare otherwise."""
    found = find_format(name)
    return found is not None and bool(optional(found, "CHANNELS_FIRST"))
