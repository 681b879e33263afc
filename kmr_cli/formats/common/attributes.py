"""Plain attributes of Python objects as they were at one moment, to be put back: what code keeps for its next call."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import Any

import numpy as np

_NUMBERS = (bool, int, float, complex, str, bytes, type(None))


class Attributes:
    """See :class:`kmr_cli.formats.interface.State`: numbers, text, arrays, tensors, and lists or dictionaries of these.

    Attributes that hold anything else are left alone. One that is new since, and is or holds a tensor or an array, is
    taken away again.

    Args:
        owners: the objects.
        apart: names of attributes that are not theirs but the framework's.
        is_tensor: whether a value is a tensor of the framework.
        equal: whether two tensors are the same.
        copy: of a tensor; the default keeps the tensor itself, where tensors cannot be written to.
    """

    def __init__(
        self,
        owners: Iterable[Any],
        apart: Collection[str],
        is_tensor: Callable[[Any], bool],
        equal: Callable[[Any, Any], bool],
        copy: Callable[[Any], Any] = lambda tensor: tensor,
    ) -> None:
        self._is_tensor, self._equal, self._copy = is_tensor, equal, copy
        self._known = [(owner, {*apart, *vars(owner)}) for owner in owners]
        self._kept = [
            (owner, name, value, self._copied(value))
            for owner, _ in self._known
            for name, value in vars(owner).items()
            if name not in apart and self._is_plain(value)
        ]

    def changed(self) -> bool:
        """See :class:`kmr_cli.formats.interface.State`."""
        return bool(self._new()) or any(
            name not in vars(owner) or not self._same(vars(owner)[name], before)
            for owner, name, _, before in self._kept
        )

    def restore(self) -> None:
        """See :class:`kmr_cli.formats.interface.State`. Lists and dictionaries stay the objects that they were."""
        for owner, name, value, before in self._kept:
            if name in vars(owner) and vars(owner)[name] is value and self._same(value, before):
                continue
            fresh = self._copied(before)
            if isinstance(value, list):
                list.__setitem__(value, slice(None), fresh)
            elif isinstance(value, dict):
                dict.clear(value)
                dict.update(value, fresh)
            elif isinstance(value, deque):
                value.clear()
                value.extend(fresh)
            else:
                value = fresh
            object.__setattr__(owner, name, value)
        for owner, name in self._new():
            object.__delattr__(owner, name)

    def _new(self) -> list[tuple[Any, str]]:
        return [
            (owner, name)
            for owner, known in self._known
            for name in vars(owner).keys() - known
            if self._is_plain(vars(owner)[name]) and self._holds_numbers(vars(owner)[name])
        ]

    def _holds_numbers(self, value: Any) -> bool:
        if isinstance(value, dict):
            return any(map(self._holds_numbers, value.values()))
        if isinstance(value, (list, tuple, deque)):
            return any(map(self._holds_numbers, value))
        return isinstance(value, np.ndarray) or self._is_tensor(value)

    def _is_plain(self, value: Any) -> bool:
        if isinstance(value, dict):
            return all(self._is_plain(part) for item in value.items() for part in item)
        if isinstance(value, (list, tuple, deque)):
            return all(map(self._is_plain, value))
        return isinstance(value, (*_NUMBERS, np.ndarray, np.generic)) or self._is_tensor(value)

    def _copied(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._copied(part) for key, part in value.items()}
        if isinstance(value, tuple):
            return tuple(map(self._copied, value))
        if isinstance(value, (list, deque)):
            return list(map(self._copied, value))
        if isinstance(value, np.ndarray):
            return value.copy()
        return self._copy(value) if self._is_tensor(value) else value

    def _same(self, value: Any, before: Any) -> bool:
        if isinstance(before, dict):
            return (
                isinstance(value, dict)
                and list(value) == list(before)
                and all(self._same(value[key], before[key]) for key in before)
            )
        if isinstance(before, (list, tuple)):
            right = isinstance(value, (list, tuple, deque)) and len(value) == len(before)
            return right and all(map(self._same, value, before))
        if isinstance(before, np.ndarray):
            return isinstance(value, np.ndarray) and np.array_equal(value, before, equal_nan=before.dtype.kind in "fc")
        if self._is_tensor(before):
            return self._is_tensor(value) and (value is before or self._equal(value, before))
        return type(value) is type(before) and bool(value == before or (value != value and before != before))
