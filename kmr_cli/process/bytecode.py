"""Bytecode of a framework, written before a model's process enters the sandbox, in which nothing is written.

pip compiles what it installs, other installers leave that to the first import. In the sandbox every import would be the
first one then: 2 s of PyTorch, 8 s of TensorFlow and Keras, in each run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from importlib.util import cache_from_source
from pathlib import Path

from kmr_cli.process.scratch import Scratch
from kmr_cli.process.search_path import without_current_folder

_IMPORT = "import sys; sys.path[:] = sys.argv[2:]; __import__(sys.argv[1])"


def is_missing(module: str) -> bool:
    """Whether a package is installed without bytecode, and this user could write it."""
    if sys.dont_write_bytecode:
        return False
    found = PathFinder.find_spec(module, without_current_folder())
    if found is None or found.origin is None or not found.has_location:
        return False
    try:
        place = Path(cache_from_source(found.origin))
    except NotImplementedError:  # this Python has none
        return False
    if place.exists():
        return False
    folder = next(one for one in place.parents if one.exists())
    return os.access(folder, os.W_OK | os.X_OK)


def write(module: str, report: Callable[[str, str], None]) -> None:
    """Import a framework once where its bytecode may be written: in a process that no model is in.

    What goes wrong with it is left to whoever imports it for use.
    """
    report("progress", f"compiling {module} for this run and later ones")
    home = Scratch()
    own = str(home.path)
    keras = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")  # noqa: PTH111  (text is all it is)
    keras = keras if Path(keras, "keras.json").is_file() else own  # where Keras would write one
    try:
        subprocess.run(
            [sys.executable, "-c", _IMPORT, module, *without_current_folder()],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, cwd=own,
            env={**os.environ, "HOME": own, "TMPDIR": own, "KERAS_HOME": keras},
        )  # fmt: skip
    except OSError:
        return
    finally:
        home.remove()
