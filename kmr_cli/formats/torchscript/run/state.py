"""What a loaded module keeps between passes: buffers and attributes that its code may write."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kmr_cli.formats.common.torch_state import equal

_NUMBERS = (bool, int, float, complex, str, type(None))


@dataclass
class _Kept:
    """One attribute: the value that the module had, a copy of it, and how often a tensor had been written to."""

    module: Any
    name: str
    value: Any
    copied: Any
    version: int


class ModuleState:
    """See :class:`kmr_cli.formats.interface.State`. Parameters aren't part of it.

    Args:
        places: (module, name) of the attributes.
    """

    def __init__(self, places: Sequence[tuple[Any, str]]) -> None:
        self._kept = []
        for module, name in places:
            try:
                value = module.getattr(name)
            except RuntimeError:  # a member of an Enum whose class nobody imported has no counterpart in Python
                continue
            if _is_plain(value):
                self._kept.append(_Kept(module, name, value, copy.deepcopy(value), _version(value)))

    def changed(self) -> bool:
        """See :class:`kmr_cli.formats.interface.State`: whether something has other values."""
        return any(_written(one) and not _equal(one.module.getattr(one.name), one.copied) for one in self._kept)

    def restore(self) -> None:
        """See :class:`kmr_cli.formats.interface.State`. A buffer stays where it lies in memory."""
        import torch

        for one in self._kept:
            if not _written(one):
                continue
            if isinstance(one.value, torch.Tensor):
                with torch.no_grad():
                    one.value.copy_(one.copied)
                one.version = one.value._version
                one.module.setattr(one.name, one.value)
            else:
                one.module.setattr(one.name, copy.deepcopy(one.copied))


def _is_plain(value: Any) -> bool:
    """Whether a value is a tensor, a number, text, or made of these."""
    import torch

    if isinstance(value, dict):
        return all(_is_plain(part) for item in value.items() for part in item)
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, torch.Tensor):
        return value.layout == torch.strided and not value.is_quantized
    return isinstance(value, _NUMBERS)


def _version(value: Any) -> int:
    import torch

    return value._version if isinstance(value, torch.Tensor) else 0


def _written(one: _Kept) -> bool:
    """Whether an attribute may hold something else: of a tensor as torch counts it, of anything else by its value."""
    import torch

    if not isinstance(one.value, torch.Tensor):
        return not _equal(one.module.getattr(one.name), one.copied)
    now = one.module.getattr(one.name)
    same = isinstance(now, torch.Tensor) and now.data_ptr() == one.value.data_ptr() and now.shape == one.value.shape
    return not same or one.value._version != one.version


def _equal(one: Any, other: Any) -> bool:
    """Whether two values are the same, NaN equal to NaN."""
    import torch

    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return equal(one, other)
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other or (one != one and other != other))
