"""A session whose passes may take inputs of other sizes than the file declares."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class TakesAnySize:
    """Implements :class:`kmr_cli.formats.interface.ResizableSession`, for a session that builds graphs."""

    _any_size = False
    """Whether the next pass is one of any size: part of the key by which built graphs are kept."""

    @contextmanager
    def any_size(self) -> Iterator[None]:
        """See :class:`kmr_cli.formats.interface.ResizableSession`."""
        self._any_size = True
        try:
            yield
        finally:
            self._any_size = False
