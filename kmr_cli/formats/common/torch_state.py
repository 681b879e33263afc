"""Tensors of torch as they were at one moment, to be put back: for models that write to their own buffers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class TensorState:
    """See :class:`kmr_cli.formats.interface.State`, of some tensors, each of which stays where it lies in memory.

    Args:
        tensors: that passes may write to.
    """

    def __init__(self, tensors: Iterable[Any]) -> None:
        self._kept = [(tensor, tensor.detach().clone()) for tensor in tensors]
        self._versions = [tensor._version for tensor, _ in self._kept]

    def changed(self) -> bool:
        """See :class:`kmr_cli.formats.interface.State`: whether one of them has other values."""
        return any(
            tensor._version != version and not equal(tensor, before)
            for (tensor, before), version in zip(self._kept, self._versions, strict=True)
        )

    def restore(self) -> None:
        """See :class:`kmr_cli.formats.interface.State`."""
        import torch

        for place, (tensor, before) in enumerate(self._kept):
            if tensor._version != self._versions[place]:
                with torch.no_grad():
                    tensor.copy_(before)
        # Tensors on the same memory share one count: all are read anew once all are written.
        self._versions = [tensor._version for tensor, _ in self._kept]


def equal(one: Any, other: Any) -> bool:
    """Whether two tensors are the same in dtype, shape and numbers, NaN equal to NaN."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return bool(((one == other) | ((one != one) & (other != other))).all())
