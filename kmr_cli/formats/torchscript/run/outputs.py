"""The tensors of nested structures that a module takes and returns, with their names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kmr_cli.formats.common.plain_values import is_by_sample, members_of


def flat_tensors(value: Any, kind: type | None = None) -> Iterator[Any]:
    """The tensors of a nested structure, in order; None, numbers and text are left out.

    Args:
        value: the structure.
        kind: of tensor; None for torch's own.
    """
    if kind is None:
        import torch

        kind = torch.Tensor
    if isinstance(value, kind):
        yield value
    elif isinstance(value, dict):
        yield from flat_tensors(list(value.values()), kind)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            if isinstance(inner, kind):  # nearly all of them: a generator for each would cost as much again
                yield inner
            else:
                yield from flat_tensors(inner, kind)


def name_tensors(result: Any, kind: type | None = None) -> Iterator[tuple[str, Any]]:
    """What ``forward`` returned, by name: dictionary keys and field names where there are any, else ``out0``, …."""
    members = members_of(result)
    if not members:
        yield from ((f"out{number}", tensor) for number, tensor in enumerate(flat_tensors(result, kind)))
        return
    for name, value in members.items():
        tensors = list(flat_tensors(value, kind))
        for number, tensor in enumerate(tensors):
            yield (name if len(tensors) == 1 else f"{name}.{number}"), tensor


def listed_outputs(result: Any, size: int) -> Iterator[tuple[str, int | None]]:
    """For every output its name, and the sample whose element of a list it is in; None where it is in no such list."""
    owners = list(_owners(result, size, None))
    yield from ((name, owner) for (name, _), owner in zip(name_tensors(result), owners, strict=True))


def _owners(value: Any, size: int, owner: int | None) -> Iterator[int | None]:
    import torch

    if isinstance(value, torch.Tensor):
        yield owner
        return
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    each = owner is None and is_by_sample(value, size)
    for place, part in enumerate(parts):
        yield from _owners(part, size, place if each else owner)
