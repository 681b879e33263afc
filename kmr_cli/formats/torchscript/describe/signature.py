"""How the arguments of ``forward`` are made from the arrays of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["tensor", "each", "tuple", "list", "dict", "constant", "none", "default", "unsupported"]


@dataclass(frozen=True)
class Argument:
    """One argument of ``forward``, or a part of one.

    Attributes:
        name: of the input: ``image``, ``state.0``, ``features.mask``.
        kind: ``tensor`` takes one input; ``each`` takes one as a list with one tensor a sample; ``tuple``, ``list`` and
            ``dict`` are made of ``parts``; ``constant`` is fed ``value``, whatever the batch; ``none`` is fed None;
            ``default`` is left to the model; ``unsupported`` cannot be fed.
        parts: members of a structure.
        keys: of a dictionary.
        annotation: the type as the file gives it.
        value: of a constant.
    """

    name: str
    kind: Kind
    parts: tuple[Argument, ...] = field(default=())
    keys: tuple[str, ...] = ()
    annotation: str = "Tensor"
    value: Any = None


def leaves(arguments: tuple[Argument, ...]) -> Iterator[Argument]:
    """The parts that take an input or cannot be fed, in order."""
    for argument in arguments:
        if argument.kind in ("tensor", "each", "unsupported"):
            yield argument
        else:
            yield from leaves(argument.parts)


def build(arguments: tuple[Argument, ...], tensors: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword arguments for a call of ``forward``."""
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    skipped = False
    for argument in arguments:
        if argument.kind == "default":
            skipped = True
        elif skipped:
            keywords[argument.name] = _value(argument, tensors)
        else:
            positional.append(_value(argument, tensors))
    return positional, keywords


def _value(argument: Argument, tensors: Mapping[str, Any]) -> Any:
    if argument.kind == "tensor":
        return tensors[argument.name]
    if argument.kind == "each":  # copies, which lie in memory as a tensor of their own does
        return [row.clone() for row in tensors[argument.name]]
    if argument.kind == "constant":
        return argument.value
    parts = [_value(part, tensors) for part in argument.parts]
    if argument.kind == "dict":
        return dict(zip(argument.keys, parts, strict=True))
    if argument.kind == "tuple":
        return tuple(parts)
    return parts if argument.kind == "list" else None
