"""How arguments and results nest, and what their parts are called.

torch writes it as JSON (``treespec_dumps``). Classes that are named there are only looked at, never imported, so that
programs open whose classes torch does not know.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_DEEPEST = 50


@dataclass(frozen=True)
class Branch:
    """A structure of arguments or results.

    Attributes:
        children: its parts; empty for a leaf.
        names: of the parts: keys, fields, or numbers.
        is_leaf: whether it is one value.
        is_named: whether the names are the author's: keys or fields.
    """

    children: tuple[Branch, ...] = ()
    names: tuple[str, ...] = ()
    is_leaf: bool = True
    is_named: bool = False

    @property
    def size(self) -> int:
        """How many leaves it has."""
        return 1 if self.is_leaf else sum(child.size for child in self.children)


def parse(text: str | None, fields: Mapping[str, tuple[str, ...]]) -> Branch | None:
    """The structure, or None where the text is something else.

    Args:
        text: as in the file.
        fields: of named tuples, by class.
    """
    try:
        document = json.loads(text or "null")
        return _branch(document[1], fields, 0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return None


def _branch(spec: Any, fields: Mapping[str, tuple[str, ...]], depth: int) -> Branch:
    if depth > _DEEPEST:
        raise ValueError
    if spec["type"] is None:
        return Branch()
    children = tuple(_branch(child, fields, depth + 1) for child in spec["children_spec"])
    names = _names(spec.get("context"), len(children), fields)
    numbers = tuple(map(str, range(len(children))))
    return Branch(children, names or numbers, is_leaf=False, is_named=names is not None)


def _names(context: Any, count: int, fields: Mapping[str, tuple[str, ...]]) -> tuple[str, ...] | None:
    """Names of the parts of a dictionary, a named tuple or a dataclass, where the file has them."""
    try:
        value = json.loads(context)
    except (ValueError, TypeError):
        value = context
    if isinstance(value, str):
        known = fields.get(value)
        return known if known is not None and len(known) == count else None
    if not isinstance(value, list):
        return None
    for names in (value, value[0] if value else None):  # a dataclass: its fields, and those that are None
        if isinstance(names, list) and len(names) == count and all(isinstance(name, (str, int)) for name in names):
            return tuple(map(str, names))
    return None


def input_names(spec: Branch | None, arguments: Sequence[str], placeholders: Sequence[str]) -> list[str]:
    """One name for every input, in order: ``x``, ``options.scale``, ``state.0``.

    Args:
        spec: of a tuple of the positional arguments, and a dictionary of the others.
        arguments: names of the forward method's arguments.
        placeholders: names that the graph has for the inputs, for where the file tells no better ones.
    """
    if spec is None or spec.size != len(placeholders) or len(spec.children) != 2:
        return list(placeholders)
    positional, keywords = spec.children
    if len(arguments) < len(positional.children):
        return list(placeholders)
    named = (*zip(arguments, positional.children, strict=False), *zip(keywords.names, keywords.children, strict=True))
    found = [name for argument, branch in named for name in _leaf_names(branch, argument)]
    return found if len(set(found)) == len(found) else list(placeholders)


def _leaf_names(branch: Branch, name: str) -> Iterator[str]:
    if branch.is_leaf:
        yield name
    for part, child in zip(branch.names, branch.children, strict=True):
        yield from _leaf_names(child, f"{name}.{part}")


def output_names(spec: Branch | None, tensors: Sequence[bool]) -> list[str | None]:
    """One name for every result, None for those that aren't tensors: keys and fields, else ``out0``, ``out1``, ….

    Args:
        spec: of the result.
        tensors: for every leaf, whether it is a tensor.
    """
    if spec is None or spec.size != len(tensors) or spec.is_leaf or not spec.is_named:
        numbers = iter(range(len(tensors)))
        return [f"out{next(numbers)}" if is_tensor else None for is_tensor in tensors]
    names: list[str | None] = []
    for name, child in zip(spec.names, spec.children, strict=True):
        inside = tensors[len(names) : len(names) + child.size]
        numbers = iter(range(len(inside)))
        alone = sum(inside) == 1
        names += [(name if alone else f"{name}.{next(numbers)}") if is_tensor else None for is_tensor in inside]
    return names


def plain_names(spec: Branch | None, count: int) -> list[str]:
    """A name for every result as a number, as :func:`kmr_cli.formats.common.plain_values.plain_values` names them.

    Args:
        spec: of the result.
        count: of its leaves.
    """
    if spec is None or spec.size != count:
        return [f"value{place}" for place in range(count)]
    return list(_plain("value0", spec)) if spec.is_leaf else list(_plain("", spec))


def _plain(name: str, branch: Branch) -> Iterator[str]:
    if branch.is_leaf:
        yield name
    for part, child in zip(branch.names, branch.children, strict=True):
        yield from _plain(f"{name}{'.' if name else ''}{part if branch.is_named else f'value{part}'}", child)
