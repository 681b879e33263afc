"""Whether this system has what it takes to keep a model in a process of its own: Linux and macOS do."""

from __future__ import annotations

import os
import signal
import socket
import sys

from kmr_cli.errors import KmrError

_NEEDED = (
    (os, "killpg"), (os, "setsid"), (os, "getuid"), (signal, "SIGKILL"), (signal, "SIGHUP"), (socket, "AF_UNIX"),
)  # fmt: skip
"""What ends a child with all that it started, and what carries its answers."""


def refuse_system() -> None:
    """Refuse to start a process for a model where it could neither be ended nor answer.

    Raises:
        KmrError: that.
    """
    if sys.platform == "win32" or not all(hasattr(module, name) for module, name in _NEEDED):
        name = "Windows" if sys.platform == "win32" else sys.platform
        raise KmrError(
            f"models are read and run on Linux and macOS, not on {name}",
            "on Windows, run kmr-inspect inside WSL",
        )
