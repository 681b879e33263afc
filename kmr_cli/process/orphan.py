"""A child whose parent is gone ends itself."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PERIOD = 0.5
"""Seconds between two looks."""


class Watch:
    """Ends this process soon after its parent has gone, from a thread of its own."""

    def __init__(self) -> None:
        self._parent = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, parent: int) -> None:
        """From now on."""
        self._parent = parent
        self._stop.clear()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Without the thread for a moment: what is restricted meanwhile is restricted in the one that comes after."""
        if self._thread is None:
            yield
            return
        self._stop.set()
        self._thread.join()
        try:
            yield
        finally:
            self.start(self._parent)

    def _look(self) -> None:
        while os.getppid() == self._parent:
            if self._stop.wait(_PERIOD):
                return
        os._exit(1)


WATCH = Watch()
"""That of this process; a fork has none, since the kernel ends it (:func:`die_with`)."""


def die_with(parent: int) -> None:
    """On Linux, have the kernel end this process when its parent dies, however that happens."""
    if sys.platform.startswith("linux"):
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


_PR_SET_PDEATHSIG = 1
