"""Where modules are looked for: not in the current folder, which may have come with the model, unless the user says so.

Who imports from there adds it (``--import``, ``--layer-class``).
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder

_NEEDED = ("kmr_cli", "h5py")
"""This program, and one of the packages that it needs: where they are, models' folders are not."""


def leave_out_current_folder() -> None:
    """Take it off ``sys.path``, however it is written there; unless this program's own packages are in it."""
    kept = without_current_folder()
    if len(kept) < len(sys.path) and all(PathFinder.find_spec(name, kept) for name in _NEEDED):
        sys.path[:] = kept


def without_current_folder() -> list[str]:
    """The entries of ``sys.path`` that are another folder."""
    try:
        here = os.path.realpath(os.getcwd())  # noqa: PTH109  (text is all that is compared)
    except OSError:  # it was removed
        here = ""
    return [entry for entry in sys.path if os.path.realpath(entry) != here]
