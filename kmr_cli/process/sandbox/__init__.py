"""The sandbox around a model: on Linux, as far as the kernel offers it, it reaches neither files nor the network.

The child enters it in two steps, and there is no way out of either: before our own readers look at the file, and,
narrower, before a framework is imported. May import: errors, config, and nothing else of ours.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from enum import IntEnum
from pathlib import Path

from kmr_cli.config.limits import Containment
from kmr_cli.errors import KmrError
from kmr_cli.process.sandbox import landlock, places, seccomp


class _Depth(IntEnum):
    OUTSIDE, READING, RUNNING = range(3)


_depth = _Depth.OUTSIDE


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


def enter_to_read(model: Sequence[Path], containment: Containment, *, any_model: bool, here: bool) -> None:
    """The first step, for readers of files: no network, no other program, nothing written but into the private folder.

    Args:
        model: the file or the folder that is to be read, and what the user loads with it.
        containment: how far the user asks for it.
        any_model: this process reads other models later: all files stay readable.
        here: the current folder may be read too, since the user imports from it.

    Raises:
        KmrError: it is required, and the kernel refuses.
    """
    if _depth < _Depth.READING:
        readable = (
            ("/",)
            if any_model
            else places.readable([*model, *(path.parent for path in model if not path.is_dir())], here=here)
        )
        _enter(_Depth.READING, readable, containment)


def enter_to_run(model: Sequence[Path], containment: Containment, *, here: bool) -> None:
    """The second step, for frameworks: no file is read any more but the model's, and those of the frameworks.

    Args:
        model: the files, or the folder, that are to be loaded.
        containment: how far the user asks for it.
        here: the current folder may be read too, since the user imports from it.

    Raises:
        KmrError: it is required, and the kernel refuses.
    """
    if _depth < _Depth.RUNNING:
        _enter(_Depth.RUNNING, places.readable(model, here=here), containment)


def _enter(depth: _Depth, readable: Iterable[str], containment: Containment) -> None:
    """One step, once and for good."""
    global _depth
    if containment == "off":
        return
    try:
        if landlock.version():
            landlock.restrict(readable, [os.environ["TMPDIR"]], places.devices())
            if seccomp.available() and _depth == _Depth.OUTSIDE:
                seccomp.restrict()
    except OSError as exc:
        if containment == "required":
            raise KmrError(f"--require-sandbox: the kernel refuses it ({exc})", "leave out --require-sandbox") from exc
    _depth = depth
