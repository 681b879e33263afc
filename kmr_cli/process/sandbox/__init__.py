"""The sandbox around a model: on Linux, as far as the kernel offers it, it reaches neither files nor the network.

It is entered by the child, once its own readers have looked at the file and before a framework is imported; there is
no way out of it. May import: errors, config, and nothing else of ours.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kmr_cli.config.limits import Containment
from kmr_cli.errors import KmrError
from kmr_cli.process.sandbox import landlock, places, seccomp

_entered = False


def offered() -> dict[str, str]:
    """What this machine has to contain a model with -> how much of it; empty where it has nothing."""
    found = {}
    if landlock.version():
        found["Landlock"] = f"version {landlock.version()}"
    if seccomp.available():
        found["seccomp"] = "filters"
    return found


def refuse_missing() -> None:
    """Refuse to go on where a model could not be contained.

    Raises:
        KmrError: that.
    """
    missing = {"Landlock", "seccomp"} - offered().keys()
    if missing:
        raise KmrError(
            f"--require-sandbox: this machine doesn't offer {' and '.join(sorted(missing))}",
            "it needs Linux 5.13 or later with both switched on; kmr-inspect doctor shows what there is",
        )


def enter(model: Sequence[Path], containment: Containment, *, here: bool) -> None:
    """Enter it, once and for good: no network, no other program, no file but the model's and the frameworks'.

    Written is in the private folder of this process alone.

    Args:
        model: the files, or the folder, that are to be loaded.
        containment: how far the user asks for it.
        here: the current folder may be read too, since the user imports from it.

    Raises:
        KmrError: it is required, and the kernel refuses.
    """
    global _entered
    if _entered or containment == "off":
        return
    try:
        if landlock.version():
            landlock.restrict(places.readable(model, here=here), [os.environ["TMPDIR"]], places.devices())
        if seccomp.available() and landlock.version():
            seccomp.restrict()
    except OSError as exc:
        if containment == "required":
            raise KmrError(f"--require-sandbox: the kernel refuses it ({exc})", "leave out --require-sandbox") from exc
    _entered = True
