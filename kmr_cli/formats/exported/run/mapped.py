"""``torch.vmap`` in a program: where it begins and ends, and what a value looks like in between.

Since torch 2.9 an export keeps the calls by which vmap is made. They are private to torch, and stand here alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_PREFIX = "torch._functorch.predispatch."
NOTHING = f"{_PREFIX}lazy_load_decompositions"
"""It only makes torch ready for what follows."""


class Mapped:
    """A context in which operators work on all members of a mapped axis at once."""

    def __init__(self, size: int, randomness: str) -> None:
        self._size, self._randomness = size, randomness

    def __enter__(self) -> None:
        import torch

        torch._C._functorch._vmap_increment_nesting(self._size, self._randomness)

    def __exit__(self, *_: object) -> None:
        import torch

        torch._C._functorch._vmap_decrement_nesting()


def _add_axis(value: Any, axis: int, level: int) -> Any:
    import torch

    return torch._C._functorch._add_batch_dim(value, axis, level)


def _remove_axis(value: Any, level: int, size: int, axis: int) -> Any:
    import torch

    return torch._C._functorch._remove_batch_dim(value, level, size, axis)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    f"{_PREFIX}_add_batch_dim": _add_axis,
    f"{_PREFIX}_remove_batch_dim": _remove_axis,
}
"""By the names that the file has for them."""


def whole(value: Any) -> Any:
    """A value with its mapped axes in front, the outermost first; any other value as it is."""
    import torch

    functorch = torch._C._functorch
    while isinstance(value, torch.Tensor) and functorch.is_batchedtensor(value):
        value = functorch.get_unwrapped(value).movedim(functorch.maybe_get_bdim(value), 0)
    return value
