"""When and where a command ran."""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kmr_cli.render.contents import Run


class Clock:
    """Runs from the moment it is made."""

    def __init__(self) -> None:
        self._date = datetime.now(timezone.utc)
        self._began = time.monotonic()

    def run(self) -> Run:
        """What has passed until now."""
        from kmr_cli.render.contents import Run

        return Run(self._date.strftime("%Y-%m-%dT%H:%M:%SZ"), time.monotonic() - self._began, machine())


def machine() -> str:
    """``Linux 6.1.0 x86_64``; what ``platform`` says would take longer than all else that ``layers`` does."""
    if not hasattr(os, "uname"):
        return sys.platform
    names = os.uname()
    return f"{names.sysname} {names.release} {names.machine}"
