"""Which layer runs, and which call of it, as a module's code goes from submodule to submodule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NO_CALL = -1
"""On the stack: this module's code runs, but it isn't a call of the layer."""


class CallStack:
    """Keeps the path and the call number of what runs now; see :class:`.instrument.Listener`.

    Args:
        identities: path by the hash of a module's handle.
        helpers: (path, method) of calls that are not calls of the layer.
    """

    def __init__(self, identities: Mapping[int, str], helpers: frozenset[tuple[str, str]]) -> None:
        self._identities = identities
        self._helpers = helpers
        self._stack: list[tuple[str, int]] = [("", 0)]
        self._counts: dict[str, int] = {}

    @property
    def now(self) -> tuple[str, int]:
        """The path of the module whose code runs, and which call of it."""
        return self._stack[-1]

    def entered(self, path: str, call: int, values: Any) -> None:
        """A call of a layer begins."""

    def left(self, path: str, call: int, values: Any) -> None:
        """It ends."""

    def enter(self, name: str, method: str, values: Any) -> None:
        """See :class:`.instrument.Listener`."""
        above = self._stack[-1][0]
        self._enter(f"{above}.{name}" if above else name, method, values)

    def enter_item(self, container: str, index: int | str, method: str, values: Any) -> None:
        """See :class:`.instrument.Listener`."""
        self.enter(f"{container}.{index}" if container else str(index), method, values)

    def enter_object(self, module: Any, method: str, values: Any) -> None:
        """See :class:`.instrument.Listener`."""
        self._enter(self._identities[hash(module)], method, values)

    def push(self, name: str) -> None:
        """See :class:`.instrument.Listener`."""
        above = self._stack[-1][0]
        self._stack.append((f"{above}.{name}" if above else name, NO_CALL))

    def push_item(self, container: str, index: int | str) -> None:
        """See :class:`.instrument.Listener`."""
        self.push(f"{container}.{index}" if container else str(index))

    def push_object(self, module: Any) -> None:
        """See :class:`.instrument.Listener`."""
        self._stack.append((self._identities[hash(module)], NO_CALL))

    def pop(self) -> None:
        """See :class:`.instrument.Listener`."""
        self._stack.pop()

    def leave(self, values: Any) -> None:
        """See :class:`.instrument.Listener`."""
        path, call = self._stack.pop()
        if call != NO_CALL:
            self.left(path, call, values)

    def _enter(self, path: str, method: str, values: Any) -> None:
        if (path, method) in self._helpers:
            self._stack.append((path, NO_CALL))
            return
        call = self._counts.get(path, 0)
        self._counts[path] = call + 1
        self._stack.append((path, call))
        self.entered(path, call, values)

    def close(self) -> None:
        """Let go of everything that a pass has left behind."""
        self._stack = [("", 0)]
        self._counts = {}
