"""An interpreter without frameworks, in which files are described."""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from kmr_cli.formats.conformance.compare import ConformanceError, demand
from kmr_cli.formats.interface import OpenOptions

_SERVE = """
import importlib, json, pathlib, sys
replies, sys.stdout = sys.stdout, sys.stderr
for line in sys.stdin:
    module, path, options, frameworks, sys.path[:] = json.loads(line)
    problem = None
    try:
        from kmr_cli.formats.interface import OpenOptions
        importlib.import_module(module).describe(pathlib.Path(path), eval(options))
    except Exception as exc:
        problem = f"{type(exc).__name__}: {exc}"
    print(json.dumps([problem, sorted(set(frameworks) & set(sys.modules))]), file=replies, flush=True)
"""


class Interpreter:
    """Describes one file after another; one that loaded a framework is not used again."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def describe(self, module: str, path: Path, options: OpenOptions, frameworks: Collection[str]) -> list[str]:
        """Which of the frameworks describing a file has loaded.

        Raises:
            ConformanceError: it failed.
        """
        asked = json.dumps([module, str(path), repr(options), sorted(frameworks), sys.path])
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(asked + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except OSError:
            answer = ""
        if not answer:
            raise ConformanceError(f"describe ended a fresh interpreter (exit status {self.close()})")
        problem, loaded = json.loads(answer)
        if loaded:
            self.close()
        demand(problem is None, f"describe failed in a fresh interpreter: {problem}")
        return list(loaded)

    def close(self) -> int:
        """End the process, and return its exit status."""
        process, self._process = self._process, None
        if process is None:
            return 0
        atexit.unregister(self.close)
        with process:  # which closes its streams, so that it ends, and waits for that
            pass
        return process.returncode

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _SERVE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            atexit.register(self.close)
        return self._process


INTERPRETER = Interpreter()
"""Shared by all examples: starting one takes as long as describing ten files."""
