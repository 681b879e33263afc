"""Ways into a model: what each of them is given, and which of them a report is not about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from kmr_cli.errors import KmrError
from kmr_cli.formats.interface import OpenOptions
from kmr_cli.records import ModelInfo, Report

_Name = TypeVar("_Name", bound=str | None)
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Way:
    """One of the ways into a model that are all asked for.

    Attributes:
        name: ``method encode``; empty for the usual one.
        opening: how the model is opened for it, with the constants that it takes.
        inputs: the names of what it can be fed, or patterns of them.
        elsewhere: the same of the others.
    """

    name: str
    opening: OpenOptions
    inputs: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = field(default=(), repr=False)

    def given(self, texts: Iterable[str]) -> tuple[str, ...]:
        """What it is given of ``NAME=…``: not what is for another way alone. A name that none has is told later."""
        return tuple(text for text in texts if self._takes(text.partition("=")[0] if "=" in text else None))

    def masks(self, texts: Iterable[str]) -> tuple[str, ...]:
        """The same of ``NAME`` and ``NAME=VALUE``."""
        return tuple(text for text in texts if self._takes(text.partition("=")[0]))

    def shapes(self, shapes: Mapping[_Name, _Value]) -> dict[_Name, _Value]:
        """The same of shapes by name."""
        return {name: shape for name, shape in shapes.items() if self._takes(name)}

    def _takes(self, name: str | None) -> bool:
        return name is None or _among(name, self.inputs) or not _among(name, self.elsewhere)


def _among(name: str, patterns: Iterable[str]) -> bool:
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def every_way(opening: OpenOptions, described: Callable[[OpenOptions], ModelInfo]) -> list[Way]:
    """Every way into a model, the usual one first, each with the constants that it has an argument for.

    Args:
        opening: how the model is to be opened.
        described: what the file tells when it is opened so.

    Raises:
        KmrError: nothing can be told.
    """
    info = described(replace(opening, constants=None))
    ways = [
        replace(opening, method=name) if kind == "method" else replace(opening, signature=name)
        for kind, name in info.ways
    ]
    usual, *others = _with_constants(described, [opening, *ways])
    named = [(f"{kind} {name}", way) for (kind, name), way in zip(info.ways, others, strict=True)]
    if described(usual).unfit is None or not info.ways:
        named.insert(0, ("", usual))
    takes = [_inputs_of(described, way) for _, way in named]
    return [
        Way(name, way, takes[number], tuple(one for other in takes for one in other))
        for number, (name, way) in enumerate(named)
    ]


def _inputs_of(described: Callable[[OpenOptions], ModelInfo], way: OpenOptions) -> tuple[str, ...]:
    try:
        info = described(way)
    except KmrError:  # it is told when the model is opened
        return ()
    return (*(spec.name for spec in info.inputs), *info.optional)


def _with_constants(described: Callable[[OpenOptions], object], ways: Sequence[OpenOptions]) -> list[OpenOptions]:
    """Each way without the constants that it has no argument for; one that none has stays, so that it is told."""

    def takes(way: OpenOptions, constant: tuple[str, Any]) -> bool:
        try:
            described(replace(way, constants=(constant,)))
        except KmrError:
            return False
        return True

    taken = [[one for one in way.constants or () if takes(way, one)] for way in ways]
    nowhere = [one for one in ways[0].constants or () if not any(one in kept for kept in taken)]
    return [replace(way, constants=(*kept, *nowhere) or None) for way, kept in zip(ways, taken, strict=True)]


def others(info: ModelInfo) -> tuple[str, ...]:
    """The ways into a model that were not taken, one line each: ``method 'encode'``."""
    return tuple(f"{kind} {name!r}" for kind, name in info.ways)


def without_others(report: Report, info: ModelInfo) -> Report:
    """The report of a model whose other ways have reports of their own."""
    left = tuple(line for line in report.not_examined if line not in others(info))
    return replace(report, not_examined=left)


def notice(info: ModelInfo) -> str | None:
    """What to say of the ways that were not taken, and what to type for them; None where there is no other."""
    if not info.ways:
        return None
    kind, name = info.ways[0]
    return f"not examined: {', '.join(others(info))}; --{kind} {name} examines it, --all-methods all of them"
