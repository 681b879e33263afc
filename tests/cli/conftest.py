"""Runs the command, as a person does."""

import os
import re
from dataclasses import dataclass

import pytest
from zoo.samples import command


@dataclass(frozen=True)
class Screen:
    """What one command left behind."""

    code: int
    out: str
    err: str

    @property
    def same(self):
        """Of stdout, what every run of the same command prints: all but when it ran and for how long."""
        return re.sub(r"^  run: .*\n", "", self.out, flags=re.MULTILINE)


@pytest.fixture
def kmr():
    def run(*arguments, cwd=None, timeout=120, **environment):
        done = command(arguments, cwd, timeout, **environment)
        return Screen(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def slowly(tmp_path_factory):
    """How to make loading take time, however fast the machine: ``slowly(seconds)`` gives arguments and environment."""

    def arranged(seconds):
        place = tmp_path_factory.mktemp("slow")
        (place / "kmr_slow_import.py").write_text(f"import time; time.sleep({seconds})\n")
        known = os.environ.get("PYTHONPATH", "")
        return ["--import", "kmr_slow_import"], {"PYTHONPATH": f"{place}{os.pathsep if known else ''}{known}"}

    return arranged
